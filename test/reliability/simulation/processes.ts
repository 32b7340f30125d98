import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/**
 * Runs a script of this folder for the seeds 1 to `seeds`, shared out among processes of their own: where nothing stands
 * between the modules, schedules take half the time. Gives what each of them wrote, which is JSON.
 */
export async function inProcesses<Part>(script: string, seeds: number): Promise<readonly Part[]> {
  const path = fileURLToPath(new URL(script, import.meta.url))
  const processes = Math.min(availableParallelism(), 8)
  const run = async (part: number): Promise<Part> => {
    const numbers = [1 + part, seeds, processes].map(String)
    try {
      const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', path, ...numbers])
      return JSON.parse(stdout) as Part
    } catch (error) {
      throw new Error((error as { readonly stderr?: string }).stderr ?? String(error))
    }
  }
  return await Promise.all(Array.from({ length: processes }, (_, part) => run(part)))
}
