import type { Secret } from '../../../model/secrets/secret.js'

/** The credentials that sign requests. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret | string
  /** Only for temporary credentials. */
  readonly sessionToken?: Secret | string | undefined
}

/**
 * Returns credentials, new ones if `forceRefresh` is set. Every provider of `@aws-sdk/credential-providers` fits.
 * Sluice calls it before the first request, again five minutes before `expiration`, and when the store refuses the
 * credentials.
 */
export type S3CredentialProvider = (options?: {
  readonly forceRefresh?: boolean
}) => Promise<S3Credentials & { readonly expiration?: Date | undefined }>

export interface S3Options {
  readonly credentials?: S3Credentials | S3CredentialProvider | undefined
  /** Default `us-east-1`. */
  readonly region?: string | undefined
  /** Address of a service other than Amazon's, as in `https://minio.example.com:9000`. */
  readonly endpoint?: string | undefined
  /** Put the bucket in the path instead of the host's name. Default: true with `endpoint`, else false. */
  readonly pathStyle?: boolean | undefined
  /**
   * Send SHA-256 checksums for the store to keep with each object. Default true. A few stores refuse them. The
   * signature covers the content either way.
   */
  readonly checksums?: boolean | undefined
}
