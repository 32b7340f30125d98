import { AsyncLocalStorage } from 'node:async_hooks'
import { subscribe } from 'node:diagnostics_channel'
import type { ClientRequest } from 'node:http'
import { createRequire } from 'node:module'
import type { Socket } from 'node:net'
import { ownPlace } from '../../../model/runtime/ownPlace.js'
import type { S3CredentialProvider } from './s3Identity.js'

/** Whether the optional package `@aws-sdk/credential-providers` is installed. */
export function hasAwsChain(): boolean {
  try {
    createRequire(ownPlace()).resolve('@aws-sdk/credential-providers')
    return true
  } catch {
    return false
  }
}

/**
 * AWS's credential chain: the environment, SSO, shared files, a process, a web identity, the role of a container or an
 * instance. Loads the package with the first request.
 */
export function awsChain(profile: string | undefined): S3CredentialProvider {
  let chain: Promise<S3CredentialProvider> | undefined
  return async options => {
    chain ??= open(profile)
    const ask = await chain
    try {
      return await new Promise((resolve, reject) => {
        asking.run(reject, () => ask(options).then(resolve, reject))
      })
    } catch (error) {
      if (profile === undefined || !(error instanceof Error) || error.name !== 'CredentialsProviderError') throw error
      throw new Error(`${error.message.replace(/\.$/, '')} (profile ${profile})`)
    }
  }
}

async function open(profile: string | undefined): Promise<S3CredentialProvider> {
  const { fromNodeProviderChain } = await import('@aws-sdk/credential-providers')
  boundAnswers()
  return fromNodeProviderChain({ ...(profile === undefined ? {} : { profile }), logger: SILENT })
}

/** Without a logger, the package writes to the console. */
const SILENT = { debug() {}, info() {}, warn() {}, error() {} }

/** Credentials are short. The package reads answers of any size and would fill the memory. */
const LONGEST_ANSWER = 256 * 1024

/** Makes the call to the package fail: the package does not notice that its request was ended. */
const asking = new AsyncLocalStorage<(error: Error) => void>()
let isBounding = false

/** Ends the package's requests, and no others, if their answers are too long. */
function boundAnswers(): void {
  if (isBounding) return
  isBounding = true
  subscribe('http.client.request.start', message => {
    const fail = asking.getStore()
    if (fail === undefined) return
    const { request } = message as { readonly request: ClientRequest }
    const watch = (socket: Socket): void => {
      let bytes = 0
      const count = (chunk: Uint8Array): void => {
        bytes += chunk.length
        if (bytes <= LONGEST_ANSWER) return
        fail(new Error(`${request.host} answers with more than credentials`))
        request.destroy()
      }
      socket.on('data', count)
      request.once('close', () => socket.off('data', count))
    }
    if (request.socket === null) request.once('socket', watch)
    else watch(request.socket)
  })
}
