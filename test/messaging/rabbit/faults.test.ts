import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { explain } from "../../../src/messaging/rabbit/faults.ts";
import { freePort } from "../../support/free-port.ts";

test("a name with several addresses, none of which answers: why is told of each", async () => {
	const addresses = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
	const socket = connect({
		host: "rabbit",
		port: await freePort(),
		lookup: (_name, _options, done) => done(null, addresses),
	});
	const [error] = await once(socket, "error").catch((thrown: unknown) => [thrown]);
	expect(error).toBeInstanceOf(AggregateError);
	expect(explain(error).text).toMatch(/^connect ECONNREFUSED 127.0.0.1:\d+, connect ECONNREFUSED 127.0.0.2:\d+$/);
});
