// webtorrent with one torrent, over TCP and uTP; it prints its own figures as the other agents do (`common.py`).

import { pathToFileURL } from 'node:url'
import path from 'node:path'

const SAMPLE_MS = 100
const PORT = 6881
const UNABLE = ['dht', 'leaves_out_a_file', 'super_seeds']

const options = JSON.parse(process.argv[2])
const refused = UNABLE.filter(name => options[name])
if (options.encryption === 'disabled' || options.transport === 'utp') refused.push('encryption or transport')
if (refused.length) {
  console.error(`this client knows no ${refused.join(', ')}`)
  process.exit(1)
}

const entry = path.join(options.modules, 'webtorrent', 'index.js')
const { default: WebTorrent } = await import(pathToFileURL(entry))
const client = new WebTorrent({
  dht: false,
  downloadLimit: options.download_bytes_per_s ?? -1,
  lsd: options.lsd ?? false,
  natPmp: false,
  natUpnp: false,
  secure: options.encryption === 'forced' ? 2 : 1,
  torrentPort: PORT,
  tracker: { wrtc: false },
  utp: options.transport !== 'tcp'
})
client.on('error', error => {
  console.error(error)
  process.exit(1)
})
const source = options.from_magnet ? options.magnet : options.torrent
const torrent = client.add(source, { path: options.folder, skipVerify: options.seeds ?? false })
torrent.on('infoHash', () => {
  for (const [address, port] of options.knows_at ?? []) torrent.addPeer(`${address}:${port}`)
})

const given = Object.fromEntries((options.observers ?? []).map(address => [address, 0]))
const uploaded = new Map()
let completedAt

function sample () {
  for (const wire of torrent.wires) {
    const address = wire.remoteAddress?.replace('::ffff:', '')
    if (address in given) uploaded.set(wire, { address, bytes: wire.uploaded })
  }
  for (const address in given) given[address] = 0
  for (const { address, bytes } of uploaded.values()) given[address] += bytes
  const total = torrent.pieces?.length ?? 0
  let pieces = 0
  for (let index = 0; index < total; index++) if (torrent.bitfield?.get(index)) pieces++
  const complete = total > 0 && pieces === total
  const time = Date.now() / 1000
  console.log(JSON.stringify({ time, pieces, complete, given }))
  if (complete) completedAt ??= time
  if (complete && options.leaves_after_s !== undefined && time >= completedAt + options.leaves_after_s) leave()
}

function leave () {
  clearInterval(timer)
  client.destroy(() => process.exit(0))
}

const timer = setInterval(sample, SAMPLE_MS)
process.on('SIGTERM', leave)
