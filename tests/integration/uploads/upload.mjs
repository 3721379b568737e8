// Uploads a file in pieces with tus-js-client, through a network that fails once and a page that is closed once.
// Usage: node upload.mjs <server host> <server port> <token> <file>; prints what it saw as one line of JSON.
import { createReadStream, statSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { once } from 'node:events'
import { Upload } from 'tus-js-client'

const [host, port, token, file] = process.argv.slice(2)
const size = statSync(file).size
const CUT_AFTER = 700_000
const sent = []
let cuts = 0

// The connection that has carried so much of the file is cut, once.
const network = createServer((client) => {
  const server = connect(Number(port), host)
  let passed = 0
  client.on('data', (chunk) => {
    passed += chunk.length
    if (passed > CUT_AFTER && cuts === 0) {
      cuts += 1
      client.destroy()
      server.destroy()
    } else {
      server.write(chunk)
    }
  })
  server.on('data', (chunk) => client.write(chunk))
  client.on('close', () => server.destroy())
  server.on('close', () => client.destroy())
  client.on('error', () => {})
  server.on('error', () => {})
})
network.listen(0, '127.0.0.1')
await once(network, 'listening')
const endpoint = `http://127.0.0.1:${network.address().port}/v1/uploads`

function upload(options) {
  return new Promise((resolve, reject) => {
    const upload = new Upload(createReadStream(file), {
      endpoint,
      uploadSize: size,
      chunkSize: 500_000,
      retryDelays: [0, 10, 20],
      headers: { Authorization: `Bearer ${token}` },
      metadata: { filename: 'café.txt', filetype: 'text/plain' },
      onAfterResponse: (request, response) => sent.push([request.getMethod(), response.getStatus()]),
      onError: reject,
      onSuccess: ({ lastResponse }) => resolve({ upload, lastResponse }),
      onChunkComplete: (_, accepted) => options.closeAt && accepted >= options.closeAt && upload.abort().then(() => resolve({ upload })),
      ...options.more,
    })
    upload.start()
  })
}

const first = await upload({ closeAt: size / 2 })
const second = await upload({ more: { uploadUrl: first.upload.url } })
network.close()
const url = new URL(second.upload.url).pathname
console.log(JSON.stringify({ cuts, sent, url, file: second.lastResponse.getHeader('Jobyard-File') }))
process.exit(0)
