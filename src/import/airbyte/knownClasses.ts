/** A component of a manifest. */
type Component = Readonly<Record<string, unknown>>

/** A class of a published connector, whose code does what components of the manifest can say. */
interface KnownClass {
  /** The connector, as in the name of its module. Connectors without a module of their own have a shared one. */
  readonly connector: string
  readonly name: string
  /** What must be there for the class to be this one: others may have its name. */
  readonly needs?: readonly string[]
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

/** OAuth whose client proves itself by user name and password. */
function basicOauth(part: Component): Component {
  return { ...part, type: 'OAuthAuthenticator', refresh_request_headers: { Authorization: 'Basic' } }
}

/**
 * The classes whose code was read, in the newest wheel on PyPI that has it. Whoever adds one reads all of it: what it does
 * for other options, and what it does besides.
 */
const CLASSES: readonly KnownClass[] = [
  {
    connector: 'looker',
    name: 'LookerAuthenticator',
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
    needs: ['username', 'password', 'legal_entity'],
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
    needs: ['account_id', 'client_id', 'client_secret', 'authorization_endpoint'],
    does: 'it is OAuth with the grant `account_credentials` and the account; the client proves itself by user name and password',
    same: ({ account_id, authorization_endpoint, ...part }) => ({
      ...basicOauth(part),
      token_refresh_endpoint: authorization_endpoint,
      grant_type: 'account_credentials',
      refresh_request_body: { account_id },
    }),
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
    needs: ['token_refresh_endpoint', 'refresh_request_body'],
    does: 'it is OAuth with client credentials; the client proves itself by user name and password',
    same: basicOauth,
  },
  {
    connector: 'okta',
    name: 'CustomBearerAuthenticator',
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
    needs: ['api_auth', 'oauth'],
    does: 'it sends the key, or a token where there is no key',
    same: selected(({ api_auth, oauth }) => ({ api_key: api_auth, oauth }), 'auth_type'),
  },
  {
    connector: 'zendesk_talk',
    name: 'ZendeskTalkAuthenticator',
    needs: ['legacy_basic_auth', 'basic_auth', 'oauth'],
    does: 'it sends the token of the API, or one of OAuth; older options have no `credentials`',
    same: selected(({ basic_auth, oauth }) => ({ api_token: basic_auth, 'oauth2.0': oauth }), 'auth_type'),
  },
  {
    connector: 'zendesk_sunshine',
    name: 'AuthenticatorZendeskSunshine',
    needs: ['basic_auth', 'oauth2'],
    does: 'it sends the token of the API, or one of OAuth',
    same: selected(({ basic_auth, oauth2 }) => ({ api_token: basic_auth, 'oauth2.0': oauth2 }), 'auth_method'),
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
    does: 'each member of the object is a record, with its name in a field',
    same: part => ({ ...part, type: 'DpathExtractor' }),
  },
  {
    connector: 'tiktok_marketing',
    name: 'SingleAdvertiserIdPerPartition',
    needs: ['parent_stream_configs'],
    does: 'it asks for each advertiser; for the one advertiser of an option, put its id into the path',
    same: part => ({ ...part, type: 'SubstreamPartitionRouter' }),
  },
  {
    connector: 'surveymonkey',
    name: 'SurveyIdPartitionRouter',
    needs: ['parent_stream_configs'],
    does: 'it asks for each survey; for those of the option `survey_ids` alone, filter the parent',
    same: part => ({ ...part, type: 'SubstreamPartitionRouter' }),
  },
]

/** The class that a component names, if its code is known. */
export function knownClass(part: Component): KnownClass | undefined {
  const known = classNamed(part)
  return known?.needs?.some(key => part[key] === undefined) === true ? undefined : known
}

/** The same of a component that was made of one. */
export function classNamed(part: Component): KnownClass | undefined {
  const [, connector, name] = /^source_(\w+)\.(?:\w+\.)+(\w+)$/.exec(String(part.class_name)) ?? []
  return CLASSES.find(
    known => known.name === name && (connector === known.connector || connector === 'declarative_manifest'),
  )
}
