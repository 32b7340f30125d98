import { dice } from './random.js'

/**
 * The records of the demo API. Everything follows from the index and the revision: the same on every machine, and a
 * page can be made without the pages before it.
 *
 * They are as untidy as what real APIs send: nulls, empty lists, text in many scripts, ids beyond 2^53, fields that
 * appear late in the list or only in a later revision.
 */
export interface FeatureFlag {
  readonly id: string
  readonly name: string
  readonly key: string
  readonly status: 'active' | 'inactive' | 'archived'
  readonly description: string | null
  readonly created_at: string
  readonly updated_at: string
  readonly tags: readonly string[]
  readonly environments: readonly Environment[]
  /** From the second revision on. */
  readonly owner?: { readonly email: string; readonly team: string }
}

interface Environment {
  readonly name: string
  readonly enabled: boolean
  readonly rollout: number
  readonly rules: readonly {
    readonly attribute: string
    readonly operator: string
    readonly values: readonly string[]
  }[]
}

export interface Feedback {
  readonly id: ExactNumber
  readonly customer_id: string
  readonly feedback_text: string
  readonly timestamp: string
  readonly rating: number | null
  readonly channel: string
  readonly customer: {
    readonly name: string
    readonly email: string
    readonly plan: string
    readonly country: string | null
    readonly seats: number
  }
  readonly replies: readonly {
    readonly author: string
    readonly text: string
    readonly sent_at: string
    readonly helpful?: boolean
  }[]
  readonly labels: readonly string[]
  /** Only the newer part of the list has it. */
  readonly sentiment?: { readonly label: string; readonly score: number }
}

/** A whole number that JavaScript cannot hold, sent digit by digit. */
class ExactNumber {
  readonly digits: string

  constructor(digits: string) {
    this.digits = digits
  }

  toJSON(): string {
    return `${MARK}${this.digits}${MARK}`
  }
}

const MARK = '\uE000'
const MARKED = new RegExp(`"${MARK}(-?\\d+)${MARK}"`, 'g')

/** JSON text in which every {@link ExactNumber} is a number. */
export function toJson(value: unknown): string {
  return JSON.stringify(value).replace(MARKED, '$1')
}

const FIRST_FEEDBACK_ID = 7_190_000_000_000_000_001n
const FIRST_DAY = Date.UTC(2024, 0, 8, 6)
const LATE_FIELD_FROM = 1_700

/** Whether a record differs in the given revision from the one before: one of twenty does. */
function revised(index: number, revision: number): boolean {
  return revision > 1 && index % 20 === revision % 20
}

export function featureFlag(index: number, revision: number): FeatureFlag {
  const roll = dice(1, index)
  const area = roll.pick(AREAS)
  const verb = roll.pick(VERBS)
  const changed = revised(index, revision)
  const created = FIRST_DAY + index * 5_400_000
  const status = roll.chance(0.65) ? 'active' : roll.pick(['inactive', 'archived'] as const)
  const flag: FeatureFlag = {
    id: `ff_${String(index + 1).padStart(5, '0')}`,
    name: `${verb} ${area}`,
    key: `${verb}-${area}-${index + 1}`.toLowerCase().replace(/[^a-z0-9]+/g, '-'),
    status: changed ? 'archived' : status,
    description: roll.chance(0.3) ? null : `${verb} the ${area} for ${roll.pick(AUDIENCES)}`,
    created_at: new Date(created).toISOString(),
    updated_at: new Date(
      changed ? revisedAt(index, revision) : created + roll.between(1, 90) * 86_400_000,
    ).toISOString(),
    tags: TAGS.filter(() => roll.chance(0.3)),
    environments: ENVIRONMENTS.map(name => ({
      name,
      enabled: name === 'development' || roll.chance(0.5),
      rollout: roll.chance(0.5) ? 100 : roll.between(0, 99),
      rules: Array.from({ length: roll.between(0, 2) }, () => ({
        attribute: roll.pick(['country', 'plan', 'app_version']),
        operator: roll.pick(['in', 'not_in', 'matches']),
        values: Array.from({ length: roll.between(1, 3) }, () => roll.pick(COUNTRIES)),
      })),
    })),
  }
  if (revision === 1 || !changed) return flag
  return { ...flag, owner: { email: `team-${index % 7}@example.com`, team: roll.pick(TEAMS) } }
}

export function feedback(index: number, revision: number): Feedback {
  const roll = dice(2, index)
  const changed = revised(index, revision)
  const customer = roll.between(1, 400)
  const at = FIRST_DAY + index * 1_260_000 + roll.between(0, 999_999)
  const text = roll.pick(TEXTS)
  const replies = roll.chance(0.35) ? roll.between(1, 3) : 0
  const record: Feedback = {
    id: new ExactNumber(String(FIRST_FEEDBACK_ID + BigInt(index) * 4_097n)),
    customer_id: `c-${customer}`,
    feedback_text: changed ? `${text} (edited)` : text,
    timestamp: new Date(at).toISOString(),
    rating: roll.chance(0.12) ? null : roll.between(1, 5),
    channel: roll.pick(['web', 'ios', 'android', 'email']),
    customer: {
      name: roll.pick(NAMES),
      email: `customer${customer}@example.com`,
      plan: roll.pick(['free', 'team', 'business', 'enterprise']),
      country: roll.chance(0.1) ? null : roll.pick(COUNTRIES),
      seats: roll.between(1, 500),
    },
    replies: Array.from({ length: replies + (changed ? 1 : 0) }, (_, reply) => ({
      author: roll.pick(NAMES),
      text: roll.pick(REPLIES),
      sent_at: new Date(at + (reply + 1) * 7_200_000).toISOString(),
      ...(roll.chance(0.4) ? { helpful: roll.chance(0.7) } : {}),
    })),
    labels: LABELS.filter(() => roll.chance(0.2)),
  }
  if (index < LATE_FIELD_FROM) return record
  const score = roll.between(-100, 100) / 100
  return { ...record, sentiment: { label: score > 0.2 ? 'positive' : score < -0.2 ? 'negative' : 'neutral', score } }
}

function revisedAt(index: number, revision: number): number {
  return Date.UTC(2025, 5, revision, 12) + index * 1_000
}

const VERBS = ['Enable', 'Redesign', 'Speed up', 'Retire', 'Pilot', 'Localise'] as const
const AREAS = [
  'checkout',
  'dark mode',
  'search',
  'bulk export',
  'SSO login',
  'audit log',
  'onboarding',
  'invoices',
] as const
const AUDIENCES = ['everyone', 'beta customers', 'staff', 'the EU region', 'mobile users'] as const
const TEAMS = ['growth', 'platform', 'payments', 'mobile'] as const
const TAGS = ['experiment', 'release', 'ops', 'billing', 'ux', 'permanent']
const ENVIRONMENTS = ['development', 'staging', 'production']
const COUNTRIES = ['DE', 'FR', 'JP', 'BR', 'IN', 'US', 'KE', 'NO'] as const
const LABELS = ['bug', 'praise', 'pricing', 'feature request', 'performance']
const NAMES = [
  'Ada Okafor',
  'Jürgen Weiß',
  'María Núñez',
  '山田 太郎',
  'Zoë Lefèvre',
  'Олена Коваль',
  'Tom Reyes',
] as const
const TEXTS = [
  'Love the new dashboard',
  'Export is slow with more than 10,000 rows',
  'Die Suche findet Umlaute nicht – bitte prüfen',
  '検索がとても速くなりました。ありがとう!',
  'Where is my invoice?\nI looked under "Billing" and under "Account".',
  'Five stars 🎉🎉 but dark mode hurts my eyes 😅',
  "Can't log in since Tuesday; error code 0x80, path C:\\temp",
  '',
] as const
const REPLIES = [
  'Thanks, we are on it.',
  'Fixed in the latest release – could you try again?',
  'ご報告ありがとうございます。',
  'Could you send us a screenshot?',
] as const
