/** A component of a manifest. */
type Component = Readonly<Record<string, unknown>>

/** A class of a published connector, whose code does what components of the manifest can say. */
interface KnownClass {
  /** The connector, as in the name of its module. */
  readonly connector: string
  readonly name: string
  /**
   * Whether this is the class where its connector has no module of its own: the name of the shared module tells nobody's
   * class. It is if the name of the class names the connector, or if the component has what no other has.
   */
  readonly isShared?: (part: Component) => boolean
  /** What must be there for the class to be this one: other versions may have its name. */
  readonly needs?: readonly string[]
  /** What may be there besides. Without it anything may; with it, anything else belongs to a version that nobody read. */
  readonly takes?: readonly string[]
  /** What the code does, for the report. */
  readonly does: string
  same(part: Component): Component
}

const LOGIN = { type: 'SessionTokenAuthenticator', expiration_duration: 'PT1H' } as const

/** Of the ways to sign in the code takes the one that an option names. */
function selected(ways: (part: Component) => Readonly<Record<string, unknown>>, option: string): KnownClass['same'] {
  return part => ({
    type: 'SelectiveAuthenticator',
    authenticator_selection_path: ['credentials', option],
    authenticators: ways(part),
  })
}

const named = (): boolean => true

/** OAuth whose client proves itself by user name and password. */
function basicOauth(part: Component): Component {
  return { ...part, type: 'OAuthAuthenticator', refresh_request_headers: { Authorization: 'Basic' } }
}

/** The same, where the code sends the grant in the address, and no body. */
function basicOauthByAddress(part: Component, address: string): Component {
  return {
    ...basicOauth(part),
    token_refresh_endpoint: address,
    grant_type: 'client_credentials',
    refresh_request_body: { grant_type: null },
  }
}

/**
 * The classes whose code was read, in the newest wheel on PyPI that has it. Whoever adds one reads all of it: what it does
 * for other options, and what it does besides. `scripts/compare-airbyte.ts` holds it against a run.
 */
const CLASSES: readonly KnownClass[] = [
  {
    connector: 'looker',
    name: 'LookerAuthenticator',
    takes: [],
    does: 'it logs in at /api/4.0/login, and sends `token` with the token',
    same: () => ({
      ...LOGIN,
      login_requester: {
        type: 'HttpRequester',
        url_base: "https://{{ config['domain'] }}/api/4.0/login",
        http_method: 'POST',
        request_body_data: {
          client_id: "{{ config['client_id'] }}",
          client_secret: "{{ config['client_secret'] }}",
        },
      },
      session_token_path: ['access_token'],
      request_authentication: {
        type: 'ApiKey',
        api_token: 'token {{ session_token }}',
        inject_into: { type: 'RequestOption', inject_into: 'header', field_name: 'Authorization' },
      },
    }),
  },
  {
    connector: 'younium',
    name: 'CustomYouniumAuthenticator',
    isShared: named,
    needs: ['username', 'password', 'legal_entity', 'grant_type', 'client_id', 'scope'],
    takes: [],
    does: 'it logs in at the identity server of Younium, and sends the token as `Bearer`; the playground has another address',
    same: ({ username, password, legal_entity, grant_type, client_id, scope }) => ({
      ...LOGIN,
      login_requester: {
        type: 'HttpRequester',
        url_base: 'https://younium-identity-server.azurewebsites.net/connect/token',
        http_method: 'POST',
        request_body_data: { username, password, legal_entity, grant_type, client_id, scope },
      },
      session_token_path: ['access_token'],
      request_authentication: { type: 'Bearer' },
    }),
  },
  {
    connector: 'zoom',
    name: 'ServerToServerOauthAuthenticator',
    isShared: ({ grant_type }) => grant_type === 'account_credentials',
    needs: ['account_id', 'client_id', 'client_secret', 'authorization_endpoint'],
    takes: ['grant_type'],
    does: 'it is OAuth with the grant `account_credentials` and the account in the address; the client proves itself by user name and password',
    same: ({ account_id, authorization_endpoint, ...part }) =>
      basicOauthByAddress(part, `${authorization_endpoint}?grant_type=account_credentials&account_id=${account_id}`),
  },
  {
    connector: 'pinterest',
    name: 'PinterestOauthAuthenticator',
    needs: ['refresh_token'],
    does: 'it is OAuth with a refresh token; the client proves itself by user name and password',
    same: basicOauth,
  },
  {
    connector: 'paypal_transaction',
    name: 'PayPalOauth2Authenticator',
    needs: ['client_id', 'client_secret'],
    does: 'it is OAuth with client credentials; the client proves itself by user name and password',
    // The body names the header of the request, which the client sends anyway.
    same: ({ refresh_request_body: _header, ...part }) => basicOauth(part),
  },
  {
    connector: 'commercetools',
    name: 'CommerceToolsOauth2Authenticator',
    does: 'it is OAuth with client credentials and the project in the address; the client proves itself by user name and password',
    // The code asks the options for everything, whatever the manifest says. The CDK calls it up to version 5; later ones
    // send what the manifest says in the body, with the secret.
    same: ({ refresh_request_body: _scope, ...part }) =>
      basicOauthByAddress(
        { ...part, client_id: "{{ config['client_id'] }}", client_secret: "{{ config['client_secret'] }}" },
        "https://auth.{{ config['region'] }}.{{ config['host'] }}.commercetools.com/oauth/token" +
          "?grant_type=client_credentials&scope=manage_project:{{ config['project_key'] }}",
      ),
  },
  {
    connector: 'okta',
    name: 'CustomBearerAuthenticator',
    takes: [],
    does: 'it sends the token with `SSWS`',
    same: () => ({
      type: 'ApiKeyAuthenticator',
      header: 'Authorization',
      api_token: "SSWS {{ config['credentials']['api_token'] }}",
    }),
  },
  {
    connector: 'retently',
    name: 'AuthenticatorRetently',
    isShared: named,
    needs: ['api_auth', 'oauth'],
    takes: [],
    does: 'it sends the key, or a token where there is no key',
    same: selected(({ api_auth, oauth }) => ({ api_key: api_auth, oauth }), 'auth_type'),
  },
  {
    connector: 'zendesk_talk',
    name: 'ZendeskTalkAuthenticator',
    isShared: named,
    needs: ['legacy_basic_auth', 'basic_auth', 'oauth'],
    takes: [],
    does: 'it sends the token of the API, or one of OAuth; older options have no `credentials`',
    same: selected(({ basic_auth, oauth }) => ({ api_token: basic_auth, 'oauth2.0': oauth }), 'auth_type'),
  },
  {
    connector: 'zendesk_sunshine',
    name: 'AuthenticatorZendeskSunshine',
    isShared: named,
    needs: ['basic_auth', 'oauth2'],
    takes: ['oauth2_refresh'],
    does: 'it sends the token of the API, or one of OAuth',
    same: selected(
      ({ basic_auth, oauth2, oauth2_refresh }) => ({
        api_token: basic_auth,
        'oauth2.0': oauth2,
        ...(oauth2_refresh !== undefined && { oauth2_refresh }),
      }),
      'auth_method',
    ),
  },
  {
    connector: 'freshdesk',
    name: 'FreshdeskRequester',
    does: 'it asks as usual; the option `requests_per_minute` is left out, for which there is `rate_limit`',
    same: part => ({ ...part, type: 'HttpRequester' }),
  },
  {
    connector: 'alpha_vantage',
    name: 'ObjectDpathExtractor',
    needs: ['field_path', 'inject_key_as_field'],
    takes: ['decoder'],
    does: 'each member of the object is a record, with its name in a field; the code takes a list as it is, which ends the run here, and an object with a member that is no object as one record',
    same: part => ({ ...part, type: 'DpathExtractor' }),
  },
  {
    connector: 'tiktok_marketing',
    name: 'SingleAdvertiserIdPerPartition',
    isShared: ({ $parameters }) =>
      typeof $parameters === 'object' && $parameters !== null && 'path_in_config' in $parameters,
    needs: ['parent_stream_configs'],
    takes: [],
    does: 'it asks for each advertiser; for the one advertiser of an option, put its id into the path',
    same: part => ({ ...part, type: 'SubstreamPartitionRouter' }),
  },
  {
    connector: 'surveymonkey',
    name: 'SurveyIdPartitionRouter',
    needs: ['parent_stream_configs'],
    takes: [],
    does: 'it asks for each survey; for those of the option `survey_ids` alone, filter the parent',
    same: part => ({ ...part, type: 'SubstreamPartitionRouter' }),
  },
]

/** What every component may have, whatever its class. */
const COMMON: readonly string[] = ['type', 'class_name', '$parameters']

/** The class that a component names, if its code is known. */
export function knownClass(part: Component): KnownClass | undefined {
  const [, connector] = nameAndConnector(part)
  const known = classNamed(part)
  if (known === undefined) return undefined
  if (connector !== known.connector && known.isShared?.(part) !== true) return undefined
  const { needs = [], takes } = known
  const isOther = (key: string): boolean => ![...COMMON, ...needs, ...(takes ?? [])].includes(key)
  if (takes !== undefined && Object.keys(part).some(isOther)) return undefined
  return needs.every(key => part[key] !== undefined) ? known : undefined
}

/** The class whose name a component has that was made of one. */
export function classNamed(part: Component): KnownClass | undefined {
  const [name, connector] = nameAndConnector(part)
  return CLASSES.find(
    known => known.name === name && (connector === known.connector || connector === 'declarative_manifest'),
  )
}

function nameAndConnector(part: Component): readonly [name?: string | undefined, connector?: string | undefined] {
  const [, connector, name] = /^source_(\w+)\.(?:\w+\.)+(\w+)$/.exec(String(part.class_name)) ?? []
  return [name, connector]
}
