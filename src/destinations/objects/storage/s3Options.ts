import type { Secret } from '../../../model/secrets/secret.js'

/** As whom requests are signed. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret | string
  /** Of temporary credentials. */
  readonly sessionToken?: Secret | string | undefined
}

/**
 * Gives credentials, new ones where `forceRefresh` asks for them. Each provider of `@aws-sdk/credential-providers` is
 * one. It is asked before the first request, again five minutes before `expiration`, and where the store refuses what it gave.
 */
export type S3CredentialProvider = (options?: {
  readonly forceRefresh?: boolean
}) => Promise<S3Credentials & { readonly expiration?: Date | undefined }>

export interface S3Options {
  readonly credentials?: S3Credentials | S3CredentialProvider | undefined
  /** Default `us-east-1`. */
  readonly region?: string | undefined
  /** Of a service other than Amazon's, as in `https://minio.example.com:9000`. */
  readonly endpoint?: string | undefined
  /** The bucket is part of the path and not of the host's name. Default: true with `endpoint`, else false. */
  readonly pathStyle?: boolean | undefined
  /**
   * Send SHA-256 checksums for the store to keep with each object. Default true; a few stores refuse them. The content is
   * covered by the signature either way.
   */
  readonly checksums?: boolean | undefined
}
