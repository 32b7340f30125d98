import { readFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Environment, isSet } from './environment.js'

/** The region of an AWS profile, `default` by default. Reads the same file as AWS's own tools: `~/.aws/config`. */
export function regionOfProfile(profile = 'default', env: Environment): string | undefined {
  let section = ''
  for (const line of awsConfig(env).split(/\r?\n/)) {
    const [, head] = /^\s*\[(?:\s*profile\s)?([^\]]*)\]/.exec(line) ?? []
    if (head !== undefined) section = head.trim().replace(/^(["'])(.*)\1$/, '$2')
    const [, region] = /^region\s*=\s*(\S+)/.exec(line) ?? []
    if (region !== undefined && section === profile) return region
  }
  return undefined
}

function awsConfig(env: Environment): string {
  const named = isSet(env, 'AWS_CONFIG_FILE') ? env.AWS_CONFIG_FILE : undefined
  try {
    return readFileSync(named ?? join(homedir(), '.aws', 'config'), 'utf8')
  } catch {
    // Most machines have none.
    return ''
  }
}
