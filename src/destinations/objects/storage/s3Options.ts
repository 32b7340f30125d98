import type { Secret } from '../../../model/secrets/secret.js'

/** As whom requests are signed. */
export interface S3Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: Secret | string
  /** Of temporary credentials. */
  readonly sessionToken?: Secret | string | undefined
}

export interface S3Options {
  readonly credentials?: S3Credentials | undefined
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
