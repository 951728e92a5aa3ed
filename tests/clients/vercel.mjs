// Vercel's AI SDK, one request a line of standard input, its outcome a line of standard output:
// {scenario, stream, client, store, baseURL, key, model} becomes {text, steps, deltas, ...} or {error}.
import { createInterface } from 'node:readline'
import { createAnthropic } from '@ai-sdk/anthropic'
import { createOpenAI } from '@ai-sdk/openai'
import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { generateText, isStepCount, Output, streamText, tool } from 'ai'
import { z } from 'zod'

globalThis.AI_SDK_LOG_WARNINGS = false

const clients = {
  // The default of @ai-sdk/openai is the Responses API.
  responses: ({ baseURL, key, model }) => createOpenAI({ baseURL, apiKey: key })(model),
  chat: ({ baseURL, key, model }) => createOpenAI({ baseURL, apiKey: key }).chat(model),
  compatible: ({ baseURL, key, model }) => {
    const settings = { name: 'tollgate', baseURL, apiKey: key, includeUsage: true, supportsStructuredOutputs: true }
    return createOpenAICompatible(settings)(model)
  },
  messages: ({ baseURL, key, model }) => createAnthropic({ baseURL, apiKey: key })(model),
}

const weather = tool({
  description: 'The weather of a city',
  inputSchema: z.object({ city: z.string() }),
  execute: async ({ city }) => `18 degrees in ${city}`,
})
const City = z.object({ name: z.string(), inhabitants: z.number() })
const pixel =
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=='

const hello = { system: 'Be brief.', prompt: 'Hello there' }
const question = { system: 'Be brief.', prompt: 'What is the weather in Paris and in Rome?' }
const options = {
  generate: hello,
  tools: { ...question, tools: { weather }, stopWhen: isStepCount(3) },
  object: { ...hello, output: Output.object({ schema: City }) },
  image: {
    messages: [
      {
        role: 'user',
        content: [
          { type: 'text', text: 'What is this?' },
          { type: 'image', image: Uint8Array.from(Buffer.from(pixel, 'base64')), mediaType: 'image/png' },
        ],
      },
    ],
  },
}

const summary = (text, finishReason, usage, steps, output) => ({
  text,
  finishReason,
  output,
  usage: { input: usage.inputTokens, output: usage.outputTokens, cached: usage.inputTokenDetails?.cacheReadTokens },
  steps: steps.map(step => ({
    text: step.text,
    calls: step.toolCalls.map(call => ({ name: call.toolName, input: call.input })),
    results: step.toolResults.map(result => result.output),
  })),
})

async function run({ scenario, stream, client, store, ...where }) {
  const providerOptions = { openai: { store } }
  const model = clients[client](where)
  const asked = { model, maxRetries: 0, maxOutputTokens: 500, providerOptions, ...options[scenario] }
  if (!stream) {
    const done = await generateText(asked)
    return summary(done.text, done.finishReason, done.usage, done.steps, scenario === 'object' && done.output)
  }
  const deltas = []
  let failed
  const running = streamText({ ...asked, onError: ({ error }) => (failed = error) })
  for await (const part of running.fullStream) {
    if (part.type === 'text-delta') deltas.push(part.text)
    if (part.type === 'tool-input-delta') deltas.push(part.delta)
  }
  if (failed) throw failed
  const { text, finishReason, usage, steps } = running
  const known = await Promise.all([text, finishReason, usage, steps, scenario === 'object' && running.output])
  return { ...summary(...known), deltas }
}

for await (const line of createInterface({ input: process.stdin })) {
  let outcome
  try {
    outcome = await run(JSON.parse(line))
  } catch (error) {
    outcome = { error: `${error.name}: ${error.message}`, status: error.statusCode }
  }
  console.log(JSON.stringify(outcome))
}
