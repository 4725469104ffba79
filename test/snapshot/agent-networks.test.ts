import { describe, expect, test } from "vitest";
import { ADDRESS_REFUSED, addressCheck, lookupWithin } from "../../src/snapshot/agent-networks.ts";

describe("an agent is nowhere on this machine or link, unless the operator says so", () => {
	const ALLOWED = ["192.0.2.11", "10.0.0.1", "172.16.0.1", "8.8.8.8", "2001:db8::1", "fd00::1", "::ffff:192.0.2.11"];
	const REFUSED = [
		"127.0.0.1",
		"127.255.255.254",
		"0.0.0.0",
		"0.1.2.3",
		"169.254.169.254",
		"224.0.0.1",
		"239.255.255.255",
		"255.255.255.255",
		"::",
		"::1",
		"fe80::1",
		"febf::1",
		"ff02::1",
		"::ffff:127.0.0.1",
		"::ffff:7f00:1",
		"::ffff:169.254.169.254",
		"::127.0.0.1",
	];
	test.each(ALLOWED)("%s may be one", (address) => expect(addressCheck([])(address)).toBe(true));
	test.each(REFUSED)("%s may not", (address) => expect(addressCheck([])(address)).toBe(false));

	/** networks, address, whether an agent may be there */
	const LISTED: readonly (readonly [readonly string[], string, boolean])[] = [
		[["192.0.2.0/24"], "192.0.2.11", true],
		[["192.0.2.0/24"], "192.0.3.11", false],
		[["192.0.2.0/24"], "2001:db8::1", false],
		[["192.0.2.0/24"], "127.0.0.1", false],
		[["192.0.2.0/24", "2001:db8::/32"], "2001:db8::1", true],
		[["127.0.0.0/8"], "127.0.0.1", true],
		[["127.0.0.0/8"], "192.0.2.11", false],
	];
	test.each(LISTED)("with %j, %s: %s", (networks, address, allowed) => {
		expect(addressCheck(networks)(address)).toBe(allowed);
	});
});

describe("the look-up", () => {
	const told: string[] = [];
	const look = (networks: readonly string[], all: boolean) =>
		new Promise((resolve) => {
			lookupWithin(networks, (text) => told.push(text))("localhost", { all, family: 4 }, (error, address, family) =>
				resolve(error ? { code: error.code, message: error.message } : { address, family }),
			);
		});

	test("refuses where no agent may be, and tells where that is, the operator and not who asked", async () => {
		for (const all of [true, false]) {
			expect(await look([], all)).toEqual({ code: ADDRESS_REFUSED, message: "refused" });
			expect(told.splice(0)).toEqual(["localhost is at 127.0.0.1, outside of agent_networks: no agent is asked there"]);
		}
	});

	test("gives what it has checked, in both forms", async () => {
		expect(await look(["127.0.0.0/8"], false)).toEqual({ address: "127.0.0.1", family: 4 });
		expect(await look(["127.0.0.0/8"], true)).toEqual({ address: [{ address: "127.0.0.1", family: 4 }] });
		expect(told).toEqual([]);
	});
});
