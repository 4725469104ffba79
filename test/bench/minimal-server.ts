import { randomUUID } from "node:crypto";
import amqp from "amqplib";

// `minimal-server.js URL TOPIC`: the least that answers as oslo.messaging expects, and the bound for our echo-server.ts. Both
// layers of JSON are read and written, a reply is confirmed and mandatory, on a connection of its own, and the request is
// acknowledged after it. There is no limit of messages in flight, no duplicate filter, no validation, no deadline, no log.
const [url = "", topic = ""] = process.argv.slice(2);
const connect = () => amqp.connect(url, { noDelay: true });
const consumer = await (await connect()).createChannel();
const publisher = await (await connect()).createConfirmChannel();
publisher.on("return", () => process.exit(1));

await consumer.assertExchange("nova", "topic", { durable: false });
await consumer.assertQueue(topic, { durable: false });
await consumer.bindQueue(topic, "nova", topic);
await consumer.consume(topic, (delivery) => {
	if (delivery === null) process.exit(1);
	const { "oslo.message": text } = JSON.parse(delivery.content.toString());
	const { args, _msg_id, _reply_q } = JSON.parse(text);
	const _unique_id = randomUUID().replaceAll("-", "");
	const reply = { result: args.value, failure: null, ending: true, _msg_id, _unique_id };
	const body = Buffer.from(JSON.stringify({ "oslo.version": "2.0", "oslo.message": JSON.stringify(reply) }));
	const options = { contentType: "application/json", contentEncoding: "utf-8", deliveryMode: 2, mandatory: true };
	publisher.publish("", _reply_q, body, options, () => consumer.ack(delivery));
});
process.once("SIGTERM", () => process.exit(0));
process.stdout.write("ready\n");
