// Sends one event of each kind with @segment/analytics-node: node send.cjs <host> <write key>
const { Analytics } = require('@segment/analytics-node')

const [host, writeKey] = process.argv.slice(2)
const analytics = new Analytics({ writeKey, host, flushAt: 10, flushInterval: 1000 })
analytics.on('error', (error) => {
  console.error(error)
  process.exitCode = 1
})
const who = { userId: 'node-user', anonymousId: 'node-device' }
analytics.identify({ ...who, traits: { plan: 'pro' }, messageId: 'node-identify' })
analytics.track({ ...who, event: 'Order Completed', properties: { total: 12.5 }, messageId: 'node-track' })
analytics.page({ ...who, name: 'Home', properties: { url: 'https://shop.example/?utm_source=node' }, messageId: 'node-page' })
analytics.screen({ ...who, name: 'Basket', messageId: 'node-screen' })
analytics.group({ ...who, groupId: 'g-1', traits: { seats: 3 }, messageId: 'node-group' })
analytics.alias({ userId: 'node-user', previousId: 'node-old', messageId: 'node-alias' })
analytics.closeAndFlush({ timeout: 30000 })
