/** How an API authenticates requests, without the secret itself. */
export type DraftAuth =
  | { readonly type: 'none' }
  | { readonly type: 'bearer' }
  | { readonly type: 'api_key'; readonly name: string; readonly location: 'header' | 'query' | 'cookie' }
  | { readonly type: 'http_basic'; readonly username: string }

/** The field of an `auth` block that holds its secret. */
export function secretField(auth: DraftAuth): 'api_key' | 'token' | 'password' | undefined {
  switch (auth.type) {
    case 'api_key':
      return 'api_key'
    case 'bearer':
      return 'token'
    case 'http_basic':
      return 'password'
    case 'none':
      return undefined
  }
}

/** The environment variable that is searched first for a secret. */
export function variable(secretName: string): string {
  return secretName.replace(/\./g, '__').replace(/\W/g, '_').toUpperCase()
}

/** The names that a text refers to, each once. */
export function referencesIn(text: string, kind: 'secrets' | 'env'): readonly string[] {
  const all = [...text.matchAll(/(?<!\$)\$\{(secrets|env)\.([\w.-]+)\}/g)]
  return [...new Set(all.flatMap(([, found, name = '']) => (found === kind ? [name] : [])))]
}

/** The keys of the `auth` block, with a reference in place of the secret. */
export function authKeys(auth: DraftAuth, secretName: string): Readonly<Record<string, string>> | undefined {
  const field = secretField(auth)
  return field === undefined ? undefined : { ...auth, [field]: `\${secrets.${secretName}}` }
}

/** Text with placeholders and references escaped. */
export function asTemplate(text: string): string {
  return text.replace(/[{}]/g, '$&$&').replace(/\$(?=\{\{(secrets|env)\.)/g, '$$$$')
}

export function requestParams(params: readonly (readonly [string, string])[]): Record<string, string | string[]> {
  // A name may be one that every object has, as `constructor`.
  const gathered = new Map<string, string | string[]>()
  for (const [name, value] of params) {
    const earlier = gathered.get(name)
    const text = asTemplate(value)
    gathered.set(name, earlier === undefined ? text : [earlier, text].flat())
  }
  return Object.fromEntries(gathered)
}
