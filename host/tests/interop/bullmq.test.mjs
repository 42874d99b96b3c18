// BullMQ's own clients and Bull Board against a running host.
//
// AIV_URL and AIV_KEY name the host and a key of its owner with the platform scope; REDIS_URL and
// BULL_PREFIX say where its queues are.

import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { createBullBoard } from '@bull-board/api'
import { BullMQAdapter } from '@bull-board/api/bullMQAdapter'
import { ExpressAdapter } from '@bull-board/express'
import { Queue, QueueEvents, Worker } from 'bullmq'
import express from 'express'
import { Redis } from 'ioredis'

const { AIV_URL, AIV_KEY, REDIS_URL, BULL_PREFIX: prefix } = process.env
const connection = new Redis(REDIS_URL, { maxRetriesPerRequest: null })
const options = { prefix, connection }
const NAMES = ['runPrompt', 'runBatch', 'dailyAggregations']
const NAME = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.\d+$/

const queues = Object.fromEntries(NAMES.map((name) => [name, new Queue(name, options)]))
const runs = queues.runPrompt
const events = new QueueEvents('runPrompt', options)
const ended = []
events.on('completed', (event) => ended.push(event))
let slot = 0

async function call(method, path, body) {
  const headers = { authorization: `Bearer ${AIV_KEY}`, 'content-type': 'application/json' }
  const response = await fetch(AIV_URL + path, { method, headers, body: body && JSON.stringify(body) })
  const text = await response.text()
  assert.ok(response.ok, `${method} ${path}: ${response.status} ${text}`)
  return text && JSON.parse(text)
}

/** Waits until `look` tells something. */
async function eventually(what, look, seconds = 60) {
  const until = Date.now() + seconds * 1000
  for (;;) {
    const found = await look()
    if (found) return found
    assert.ok(Date.now() < until, `not in ${seconds} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A batch of six runs, each asked for the first time. */
async function startBatch() {
  return call('POST', '/v1/batches', { samples: 2, slot: `interop-${slot++}` })
}

async function finished(batch) {
  return eventually('the batch ends', async () => {
    const now = await call('GET', `/v1/batches/${batch.id}`)
    return now.state === 'completed' && now
  })
}

function all(counts) {
  return Object.values(counts).reduce((sum, count) => sum + count, 0)
}

before(async () => {
  await events.waitUntilReady()
  await call('POST', '/v1/brands', { name: 'Lumetask', kind: 'own' })
  await call('POST', '/v1/prompts', { text: 'Which planning tool suits a small team?' })
  for (const provider of (await call('GET', '/v1/providers')).data) {
    const engine = { enabled: true, surface: provider.surfaces[0].id }
    await call('PUT', `/v1/engines/${provider.key}`, engine)
  }
})

after(async () => {
  await events.close()
  await Promise.all(Object.values(queues).map((queue) => queue.close()))
  connection.disconnect()
})

test('a pause by BullMQ stops the workers, and the queue is read by its own clients', async () => {
  await runs.pause()
  const batch = await startBatch()
  const waiting = ['waiting', 'prioritized', 'paused', 'delayed']
  await eventually('the runs wait in Redis', async () => {
    return all(await runs.getJobCounts(...waiting)) === batch.planned
  })
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal((await call('GET', `/v1/batches/${batch.id}`)).runs.succeeded, 0)

  for (const job of await runs.getJobs(waiting)) {
    assert.match(job.id, NAME)
    assert.deepEqual(Object.keys(job.data).sort(), ['epoch', 'id', 'lane'])
    assert.equal(`${job.data.id}.${job.data.epoch}`, job.id)
    assert.deepEqual((await runs.getJob(job.id)).data, job.data)
  }
  assert.ok((await runs.getWorkersCount()) >= 1)

  ended.length = 0
  await runs.resume()
  const now = await finished(batch)
  assert.equal(now.runs.succeeded, batch.planned)
  await eventually('an event for each run', () => ended.length >= batch.planned)
  for (const event of ended) assert.match(event.jobId, NAME)
  assert.ok((await runs.getCompletedCount()) >= batch.planned)
  const text = await runs.exportPrometheusMetrics()
  assert.match(text, /bullmq_job_count\{queue="runPrompt", state="completed"\} [1-9]/)
})

test('a pause by the platform is told to BullMQ', async () => {
  await call('POST', '/v1/admin/queues/runPrompt/pause')
  await eventually('paused', () => runs.isPaused())
  await call('POST', '/v1/admin/queues/runPrompt/resume')
  await eventually('resumed', async () => !(await runs.isPaused()))
})

test('a worker of BullMQ that takes part breaks nothing', async () => {
  const taken = []
  const stranger = new Worker('runPrompt', async (job) => taken.push(job.id), { ...options, concurrency: 2 })
  await stranger.waitUntilReady()
  const batches = []
  for (let n = 0; n < 5; n++) batches.push(await startBatch())
  await eventually('the stranger takes something', () => taken.length > 0)
  await stranger.close()
  for (const batch of batches) {
    const now = await finished(batch)
    assert.equal(now.runs.succeeded, batch.planned)
  }
  const { data } = await call('GET', '/v1/runs?limit=200')
  const keys = new Set(data.map((run) => run.id))
  assert.equal(keys.size, data.length)
})

test('jobs that are none of the platform fail, and harm nobody', async () => {
  const job = await runs.add('mine', { hello: 1 })
  await eventually('it fails', async () => (await job.getState()) === 'failed')
  assert.match((await runs.getJob(job.id)).failedReason, /not a job of this platform/)
  await assert.rejects(runs.add('odd', {}, { jobId: 'a:b' }))
  assert.equal((await finished(await startBatch())).runs.failed, 0)
})

test('Bull Board lists the queues, and its buttons do no harm', async () => {
  const board = new ExpressAdapter()
  createBullBoard({
    queues: Object.values(queues).map((queue) => new BullMQAdapter(queue)),
    serverAdapter: board,
  })
  const app = express().use('/', board.getRouter())
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  const base = `http://127.0.0.1:${server.address().port}`
  const press = async (path) => {
    const response = await fetch(base + path, { method: 'PUT' })
    assert.ok(response.ok, `${path}: ${response.status} ${await response.text()}`)
  }
  try {
    const listed = await (await fetch(`${base}/api/queues?activeQueue=runPrompt&page=1`)).json()
    assert.deepEqual(listed.queues.map((queue) => queue.name).sort(), [...NAMES].sort())

    // Retried there, a job that is none of ours fails again, and one that has ended is not done
    // a second time.
    const strange = (await runs.getFailed())[0]
    await press(`/api/queues/runPrompt/${strange.id}/retry`)
    await eventually('it fails again', async () => (await strange.getState()) === 'failed')
    const done = (await runs.getCompleted())[0]
    await done.retry('completed')
    await eventually('it is over again', async () => (await done.getState()) === 'completed')
    assert.deepEqual((await runs.getJob(done.id)).returnvalue, { outcome: 'out of date' })

    // Removed while they wait, runs are sent again.
    await runs.pause()
    const batch = await startBatch()
    await eventually('the runs wait in Redis', async () => (await runs.count()) >= batch.planned)
    await press('/api/queues/runPrompt/empty')
    await press('/api/queues/runPrompt/clean/completed')
    await runs.resume()
    assert.equal((await finished(batch)).runs.succeeded, batch.planned)
  } finally {
    await new Promise((resolve) => server.close(resolve))
  }
})
