import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { RabbitOptions } from "../../../src/messaging/rabbit/options.ts";
import { RabbitTransport } from "../../../src/messaging/rabbit/rabbit.ts";
import { parseTransportUrl } from "../../../src/messaging/rabbit/transport-url.ts";
import { recordingLog } from "../../support/log.ts";
import { startRabbitMq, type TestBroker } from "../../support/rabbitmq.ts";

let broker: TestBroker;
let url: string;
beforeAll(async () => {
	broker = await startRabbitMq();
	url = await broker.addUser("nova");
	await broker.ctl("set_permissions", "nova", ".*", ".*", ".*");
	await broker.ctl("add_vhost", "foreign");
	await broker.ctl("add_vhost", "small");
	await broker.ctl("set_permissions", "-p", "small", "nova", ".*", ".*", ".*");
	await broker.ctl("set_vhost_limits", "-p", "small", '{"max-connections": 1}');
});
afterAll(() => broker?.stop());

/** what there is beside the user, his virtual host, what is said: the broker's reason, and what to look at */
const REASONS: readonly (readonly [limits: string, vhost: string, says: RegExp])[] = [
	["{}", "nowhere", /vhost nowhere not found.*: check the virtual host in transport_url; next/],
	[
		"{}",
		"foreign",
		/access to vhost 'foreign' refused for user 'nova'.*: check .* \(rabbitmqctl set_permissions\); next/,
	],
	["{}", "small", /connection limit \(1\) is reached.*: raise it \(.* set_vhost_limits, .*\); next/],
	['{"max-connections": 1}', "", /user connection limit \(1\) is reached.*: raise it \(.* set_user_limits, .*\); next/],
];

test.each(REASONS)("a user with limits %s in the virtual host %j: which it is", async (limits, vhost, says) => {
	await broker.ctl("set_user_limits", "nova", limits);
	onTestFinished(async () => void (await broker.ctl("clear_user_limits", "nova", "all")));
	const { log, lines } = recordingLog();
	const transport = new RabbitTransport({
		url: parseTransportUrl(`${url}${vhost}`),
		options: RabbitOptions.parse({}),
		connectionName: "novacompat-test",
		log,
	});
	onTestFinished(() => transport.close());
	await expect.poll(() => lines.join("")).toMatch(says);
	expect(lines.join("")).not.toMatch(/ INFO | WARNING /);
});
