import { z } from 'zod'
import { durationMs } from '../../model/expectations.js'
import { key, secretValue } from '../../rest/document/declaration/pieces.js'
import { strictObject } from '../../rest/document/declaration/strictObject.js'
import { LONGEST_NOTIFYING_SECONDS, OCCASIONS } from './occasions.js'

const occasion = z.enum(OCCASIONS)
/** A text in clear would stand in the file. */
const secretReference = z.union([
  z.string().regex(/\$\{secrets\./, 'expected a reference to a secret, as `${secrets.notify_key}`'),
  secretValue,
])
const address = z.union([
  z.string().regex(/^https?:\/\/.|\$\{(?:secrets|env)\./, 'expected an http or https URL, or a reference to one'),
  secretValue,
])

const notification = strictObject(() => ({
  on: key(z.union([occasion, z.array(occasion).min(1)]), {
    description:
      'When. `failure`: the run rejected. `incomplete`: records are missing, also where `--allow-incomplete` commits the rest. `late`: no load for longer than `late_after`. `drift`: tables or columns changed, or the contract refused something. `success`: none of these.',
    default: ['failure', 'incomplete', 'late', 'drift'],
  }),
  command: key(z.array(z.string().min(1)).min(1), {
    description:
      'Program and its arguments, run without a shell in the folder of the file. It gets the notice as JSON on its standard input.',
    examples: [['./page-me.sh', 'orders']],
  }),
  webhook: key(address, {
    description: 'Address that the notice is posted to as JSON. It may be a secret.',
    examples: ['${secrets.chat_webhook}'],
  }),
  secret: key(secretReference, {
    description: 'Key that signs the webhook by HMAC-SHA256, as Standard Webhooks does. Only as a reference.',
    examples: ['${secrets.notify_key}'],
  }),
  late_after: key(
    z.string().refine(text => (durationMs(text) ?? 0) > 0, 'expected an ISO 8601 duration, as in PT2H'),
    {
      description:
        'The longest time between loads, as an ISO 8601 duration. After a run that loaded nothing, the last load is looked up.',
      examples: ['PT2H'],
    },
  ),
  max_seconds: key(z.number().positive().max(LONGEST_NOTIFYING_SECONDS), {
    description: 'Longest time that notifying takes, with every retry. The run waits for it.',
    default: 10,
  }),
})).meta({ description: 'Has a `command`, a `webhook`, or both.' })

export type NotificationKeys = z.output<typeof notification>

export const notifications = z.union([notification, z.array(notification)])
