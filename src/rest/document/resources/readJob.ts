import type { JobConfig } from '../declaration/configTypes.js'
import type { JobModel, JobRequest } from '../model.js'
import { formatPath, type Problems, type PropertyPath } from '../problems.js'
import type { MergedResource } from './mergeResource.js'
import { checkPath } from './readIncremental.js'
import { milliseconds } from './readResponses.js'

const FAILED = ['failed', 'failure', 'error', 'cancelled', 'canceled', 'aborted', 'expired']

/** The export job of an endpoint, if it has one. */
export function jobOf({ endpoint, where }: MergedResource, problems: Problems): JobModel | undefined {
  const { job } = endpoint
  if (job == null) return undefined
  const at = (...keys: readonly string[]): PropertyPath => where('endpoint', 'job', ...keys)
  checkJob(job, at, problems)
  const { poll, download, cleanup } = job
  return {
    handlePath: job.handle_path ?? undefined,
    handleHeader: job.handle_header ?? undefined,
    poll: request(poll.path, poll.method ?? 'GET', poll.params),
    statusPath: poll.status_path ?? undefined,
    done: poll.done.map(String),
    failed: (poll.failed ?? FAILED).map(String),
    messagePath: poll.message_path ?? undefined,
    everyMs: milliseconds(poll.every) ?? 5_000,
    timeoutMs: milliseconds(poll.timeout) ?? 3_600_000,
    download: download.path == null ? undefined : request(download.path, 'GET', download.params),
    urlPath: download.url_path ?? undefined,
    cleanup: cleanup == null ? undefined : request(cleanup.path, cleanup.method ?? 'DELETE', undefined),
    totalPath: job.total_path ?? undefined,
    path: formatPath(at()),
  }
}

function request(path: string, method: JobRequest['method'], params: JobConfig['poll']['params']): JobRequest {
  const pairs = Object.entries(params ?? {}).flatMap(([name, value]) =>
    value === null ? [] : [[name, String(value)] as const],
  )
  return { path, method, params: pairs }
}

function checkJob(job: JobConfig, at: (...keys: readonly string[]) => PropertyPath, problems: Problems): void {
  const { poll, download, cleanup } = job
  if ((job.handle_path == null) === (job.handle_header == null)) {
    problems.add(at('handle_path'), 'a job needs one of `handle_path` and `handle_header`')
  }
  if ((download.url_path == null) === (download.path == null)) {
    problems.add(at('download'), 'needs one of `url_path` and `path`')
  }
  if (download.url_path != null && download.params != null) {
    problems.add(at('download', 'params'), 'belongs to `path`; a URL has its own')
  }
  const paths = [
    [job.handle_path, at('handle_path')],
    [job.total_path, at('total_path')],
    [poll.status_path, at('poll', 'status_path')],
    [poll.message_path, at('poll', 'message_path')],
    [download.url_path, at('download', 'url_path')],
  ] as const
  for (const [path, place] of paths) if (path != null) checkPath(path, place, problems)
  const texts = [
    [poll.path, at('poll', 'path')],
    [download.path ?? '', at('download', 'path')],
    [cleanup?.path ?? '', at('cleanup', 'path')],
  ] as const
  for (const [text, place] of texts) {
    const other = /\{(?!handle\})[^}]*\}/.exec(text)?.[0]
    if (other !== undefined) problems.add(place, `\`${other}\` is not known here; only \`{handle}\` is`)
  }
}
