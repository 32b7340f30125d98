import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { EnvironmentError, SluiceError } from '../../model/errors.js'
import type { Clock } from '../../model/source.js'
import type { OpenPipelines } from '../../studio/openPipelines.js'
import { calledTool } from './calledTool.js'
import { TOOLS } from './tools.js'

export interface ToolServerOptions {
  readonly pipelines: OpenPipelines
  /** Runs need no approval of the person at the client. */
  readonly allowRun: boolean
  readonly version: string
  readonly clock: Clock
  /** The standard input: its end is the end of the client. */
  readonly input: NodeJS.ReadStream | undefined
  readonly signal: AbortSignal
}

/** The SDK of the Model Context Protocol, where it is installed. */
async function sdk() {
  try {
    const [{ Server }, { StdioServerTransport }, types] = await Promise.all([
      import('@modelcontextprotocol/sdk/server/index.js'),
      import('@modelcontextprotocol/sdk/server/stdio.js'),
      import('@modelcontextprotocol/sdk/types.js'),
    ])
    return { Server, StdioServerTransport, types }
  } catch (error) {
    const what = '`sluice mcp` needs the package @modelcontextprotocol/sdk, which is not installed'
    throw new EnvironmentError(`${what}: npm install @modelcontextprotocol/sdk`, { cause: error })
  }
}

/** Answers the tools of agents on the standard input and output, until the client or the signal ends it. */
export async function serveTools(options: ToolServerOptions): Promise<void> {
  const { signal, input } = options
  const { Server, StdioServerTransport, types } = await sdk()
  const server: Server = new Server(
    { name: 'sluice', version: options.version },
    { capabilities: { tools: {} }, instructions: INSTRUCTIONS },
  )
  server.setRequestHandler(types.ListToolsRequestSchema, () => ({
    tools: TOOLS.map(({ name, description, properties, required, isReading }) => ({
      name,
      description,
      inputSchema: { type: 'object' as const, properties, required: [...required], additionalProperties: false },
      annotations: { readOnlyHint: isReading, destructiveHint: false, openWorldHint: true },
    })),
  }))
  server.setRequestHandler(types.CallToolRequestSchema, async ({ params }, { signal: cancelled }) => {
    const either = AbortSignal.any([cancelled, signal])
    const approve = (question: string): Promise<boolean> => approved(server, question, options.allowRun)
    try {
      const text = await calledTool(params, { ...options, approve, signal: either })
      return { content: [{ type: 'text' as const, text }] }
    } catch (error) {
      if (!(error instanceof SluiceError)) throw error
      return { content: [{ type: 'text' as const, text: `${error.code}: ${error.message}` }], isError: true }
    }
  })
  const transport = new StdioServerTransport()
  await new Promise<void>((resolve, reject) => {
    server.onclose = resolve
    signal.addEventListener('abort', () => void server.close().catch(() => resolve()), { once: true })
    // The transport does not notice that the client is gone.
    input?.once('end', () => void server.close().catch(() => resolve()))
    server.connect(transport).catch(reject)
  })
}

/** Whether a person says yes. A client that cannot ask gets no run. */
async function approved(server: Server, question: string, allowRun: boolean): Promise<boolean> {
  if (allowRun) return true
  if (server.getClientCapabilities()?.elicitation === undefined)
    throw new EnvironmentError(
      'a run needs the approval of a person, and this client cannot ask for it: start `sluice mcp` with --allow-run, or run it in a terminal',
    )
  const { action, content } = await server.elicitInput({
    message: question,
    requestedSchema: {
      type: 'object',
      properties: { approve: { type: 'boolean', title: 'Start the run', default: false } },
      required: ['approve'],
    },
  })
  return action === 'accept' && content?.approve === true
}

const INSTRUCTIONS =
  'Sluice loads REST APIs into typed tables. List the pipelines first. `plan`, `schema`, `history`, `trace` and `query` send nothing to the API; `check` and `prove` do. `query` takes one statement that only reads. A run needs approval. No answer holds a secret.'
