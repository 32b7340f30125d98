import { z } from 'zod'
import { awsSha256, awsSigned } from '../../model/awsSignature.js'
import { reveal } from '../../model/secrets/secret.js'
import { percentEncoded, sortedQuery } from '../../model/texts/percentEncoding.js'
import { strictObject } from '../document/declaration/strictObject.js'
import { decoded } from '../http/redact.js'
import { requestUrl, wireBody, withHeader } from '../http/wire.js'
import { concealed, defineAuth, secretText } from './authenticator.js'

/** AWS Signature Version 4, for services of AWS and others that check it. */
export const awsSigv4 = defineAuth({
  type: 'aws_sigv4',
  schema: strictObject(() => ({
    type: z.literal('aws_sigv4').meta({ description: 'AWS Signature Version 4: each request is signed with a key.' }),
    access_key_id: secretText.meta({ description: 'Id of the key.' }),
    secret_access_key: secretText.meta({ description: 'The key. A secret.' }),
    session_token: secretText.optional().meta({ description: 'Token of temporary credentials. A secret.' }),
    region: z
      .string()
      .min(1)
      .meta({ description: 'Region of the service.', examples: ['eu-central-1'] }),
    service: z
      .string()
      .min(1)
      .default('execute-api')
      .meta({ description: 'Name of the service, as AWS signs it. `execute-api`: an API behind API Gateway.' }),
  })),
  secretFields: ['access_key_id', 'secret_access_key', 'session_token'],
  lookedUp: ['access_key_id', 'secret_access_key'],
  carries: ({ session_token }) => ({
    headers: ['Authorization', 'X-Amz-Date', ...(session_token === undefined ? [] : ['X-Amz-Security-Token'])],
  }),
  create({ access_key_id, secret_access_key, session_token, region, service }) {
    return {
      sign(request, context) {
        const { host, pathname, searchParams } = new URL(requestUrl(request))
        const isS3 = service === 's3'
        const bodySha256 = awsSha256(request.body === undefined ? '' : wireBody(request.body).text)
        const signed = awsSigned(
          {
            method: request.method,
            path: signedPath(pathname, isS3),
            query: sortedQuery(searchParams),
            headers: { host, ...(isS3 && { 'x-amz-content-sha256': bodySha256 }) },
            bodySha256,
          },
          {
            accessKeyId: reveal(access_key_id),
            secretAccessKey: concealed(secret_access_key, context),
            sessionToken: session_token === undefined ? undefined : concealed(session_token, context),
            region,
            service,
          },
          context.now(),
        )
        const added = Object.entries(signed).filter(([name]) => name !== 'host')
        return added.reduce((ready, [name, value]) => withHeader(ready, name, value), request)
      },
    }
  },
})

/** S3 signs what the path means, the other services the path as it is sent, each encoded. */
function signedPath(pathname: string, isS3: boolean): string {
  const segments = pathname.split('/')
  return segments.map(segment => percentEncoded(isS3 ? decoded(segment) : segment)).join('/')
}
