import { basename, dirname } from 'node:path'
import type { Files, OpenFile } from '../../../src/journal/fileSystem.js'
import type { Life } from './life.js'

/** A disk in memory that outlives processes, and power cuts as a disk does: what was not synced may be gone. */
export interface Disk {
  /** The disk as one process sees it. */
  files(life: Life): Files
  /** Names in a folder; none where there is no folder. */
  names(folder: string): readonly string[]
  remove(path: string): void
  /** What is not synced is lost, or half there, or there as zeros. */
  cutPower(random: () => number): void
}

interface FileNode {
  readonly kind: 'file'
  content: Buffer
  /** As it was when it was synced last. */
  synced: Buffer
}

interface FolderNode {
  readonly kind: 'folder'
  readonly names: Map<string, Node>
  /** As they were when the folder was synced last. */
  synced: ReadonlyMap<string, Node>
}

type Node = FileNode | FolderNode

export function disk(): Disk {
  const root = newFolder()

  const find = (path: string): Node | undefined => {
    let node: Node | undefined = root
    for (const name of path.split('/').filter(part => part !== ''))
      node = node?.kind === 'folder' ? node.names.get(name) : undefined
    return node
  }
  const folderAt = (path: string): FolderNode => {
    const node = find(path)
    if (node?.kind !== 'folder') throw failure('ENOENT', path)
    return node
  }
  const fileAt = (path: string): FileNode => {
    const node = find(path)
    if (node?.kind !== 'file') throw failure('ENOENT', path)
    return node
  }
  const place = (path: string): readonly [folder: FolderNode, name: string] => [folderAt(dirname(path)), basename(path)]
  const make = (path: string): FileNode => {
    const [folder, name] = place(path)
    const file: FileNode = { kind: 'file', content: Buffer.alloc(0), synced: Buffer.alloc(0) }
    folder.names.set(name, file)
    return file
  }
  const remove = (path: string): void => {
    const parent = find(dirname(path))
    if (parent?.kind === 'folder') parent.names.delete(basename(path))
  }

  return {
    files: life => ({
      async open(path, flags) {
        await life.step()
        return openFile(flags === 'w+' ? make(path) : fileAt(path), life)
      },
      async readText(path) {
        await life.step()
        return fileAt(path).content.toString()
      },
      async writeText(path, text) {
        await life.step()
        make(path).content = Buffer.from(text)
      },
      async list(folder) {
        await life.step()
        return [...folderAt(folder).names.keys()]
      },
      async makeFolder(path) {
        await life.step()
        let at = ''
        let folder = root
        for (const name of path.split('/').filter(part => part !== '')) {
          at += `/${name}`
          let next = folder.names.get(name)
          if (next === undefined) {
            next = newFolder()
            folder.names.set(name, next)
          }
          if (next.kind === 'file') throw failure('EEXIST', at)
          folder = next
        }
      },
      async rename(from, to) {
        await life.step()
        const [source, name] = place(from)
        const [target, newName] = place(to)
        const moved = source.names.get(name)
        if (moved === undefined) throw failure('ENOENT', from)
        const there = target.names.get(newName)
        if (there?.kind === 'folder' && there.names.size > 0) throw failure('ENOTEMPTY', to)
        source.names.delete(name)
        target.names.set(newName, moved)
      },
      async link(from, to) {
        await life.step()
        const [target, name] = place(to)
        if (target.names.has(name)) throw failure('EEXIST', to)
        target.names.set(name, fileAt(from))
      },
      async remove(path) {
        await life.step()
        remove(path)
      },
      async syncFolder(path) {
        await life.step()
        const folder = folderAt(path)
        folder.synced = new Map(folder.names)
      },
    }),
    names(folder) {
      const node = find(folder)
      return node?.kind === 'folder' ? [...node.names.keys()] : []
    },
    remove,
    cutPower: random => cutPower(root, random),
  }
}

function newFolder(): FolderNode {
  return { kind: 'folder', names: new Map(), synced: new Map() }
}

function openFile(file: FileNode, life: Life): OpenFile {
  return {
    async size() {
      await life.step()
      return file.content.length
    },
    async read(buffer, position) {
      await life.step()
      return file.content.copy(buffer, 0, position)
    },
    async write(buffers, position) {
      await life.step()
      const written = Buffer.concat(buffers)
      const before = file.content.subarray(0, position)
      const gap = Buffer.alloc(position - before.length)
      file.content = Buffer.concat([before, gap, written, file.content.subarray(position + written.length)])
      return written.length
    },
    async truncate(size) {
      await life.step()
      file.content = file.content.subarray(0, size)
    },
    async sync() {
      await life.step()
      file.synced = file.content
    },
    async close() {
      await life.step()
    },
  }
}

/** Names come and go by whole folders: what is renamed has one of its names. */
function cutPower(folder: FolderNode, random: () => number): void {
  if (random() < 0.5) {
    folder.names.clear()
    for (const [name, node] of folder.synced) folder.names.set(name, node)
  }
  folder.synced = new Map(folder.names)
  for (const node of folder.names.values()) {
    if (node.kind === 'folder') cutPower(node, random)
    else {
      node.content = torn(node, random)
      node.synced = node.content
    }
  }
}

function torn({ content, synced }: FileNode, random: () => number): Buffer {
  if (content.length <= synced.length) return random() < 0.5 ? content : synced
  const arrived = synced.length + Math.floor((content.length - synced.length) * random())
  // The length of a file may be stored before what is in it.
  const zeros = random() < 0.3 ? Math.floor((content.length - arrived) * random()) : 0
  return Buffer.concat([content.subarray(0, arrived), Buffer.alloc(zeros)])
}

function failure(code: string, path: string): Error {
  return Object.assign(new Error(`${code}: simulated, ${path}`), { code })
}
