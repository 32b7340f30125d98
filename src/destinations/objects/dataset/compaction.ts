import type { KeyRange, Storage } from '../storage/storage.js'
import { announcementKey, announcementText, checkpointKey, checkpointText } from './checkpoint.js'
import type { DatasetReader, Snapshot } from './committedDataset.js'
import type { LoadLedger } from './ledger.js'
import { isStoredSystemKey, recordGroup } from './systemObjects.js'

/** This many loads after the newest checkpoint, read one by one, cause a new one. */
const LOADS_PER_CHECKPOINT = 25

/** Makes a checkpoint if there are enough loads after the last one, including the load just committed. */
export async function compactWhenDue(storage: Storage, reader: DatasetReader, before: Snapshot): Promise<void> {
  if (before.behindCheckpoint + 1 >= LOADS_PER_CHECKPOINT) await compact(storage, reader)
}

/**
 * Writes a checkpoint of all loads. Records stay where they are, so readers always find the same loads, even after a
 * kill. It announces what it will cover before it looks at the loads. A load that commits into that range meanwhile is
 * either seen here, or sees the announcement and leaves its note for the readers.
 */
async function compact(storage: Storage, reader: DatasetReader): Promise<void> {
  const { written, announced } = await reader.checkpoints.list()
  const number = Math.max(0, ...written, ...announced) + 1
  const covered = rangesOf((await reader.snapshot()).ledger)
  if (!(await storage.put(announcementKey(number), announcementText(covered), { onlyIfAbsent: true }))) return
  const ledger = pruned(await reader.snapshot())
  await storage.put(checkpointKey(number), checkpointText({ covered, ledger }), { onlyIfAbsent: true })
  await storage.remove([
    ...announced.map(announcementKey),
    announcementKey(number),
    ...written.filter(one => one < number).map(checkpointKey),
  ])
}

/** Removed schemas and states are remembered while their objects exist. */
function pruned({ ledger, systemKeys }: Snapshot): LoadLedger {
  const removed = [...ledger.removed].filter(key => !isStoredSystemKey(key) || systemKeys.has(key))
  return { ...ledger, removed: new Set(removed) }
}

/** One range for the records of each schema. */
function rangesOf({ records }: LoadLedger): readonly KeyRange[] {
  const ranges = new Map<string, KeyRange>()
  for (const key of [...records].sort()) {
    const group = recordGroup(key)
    ranges.set(group, { from: ranges.get(group)?.from ?? key, to: key })
  }
  return [...ranges.values()]
}
