import { renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, expect } from "vitest";
import type { Process } from "../faults/processes.ts";
import { type Rig, startRig } from "../faults/rig.ts";
import { leastOf, row, seconds } from "../faults/rows.ts";
import { temporaryDirectory } from "../support/temporary.ts";
import { lostOf, underLoad } from "./load.ts";

let rig: Rig;
beforeAll(async () => {
	rig = await startRig();
	await rig.caller.untilAnswered(rig.world.question(0));
});
afterEach(() => rig.check());
afterAll(() => rig?.close());

const decisionsOf = ({ log }: Process) => log.split("live migration cmp-01 -> ").length - 1;

row(70, "SIGTERM at 300 calls a second, beside a second instance", "0 lost, exit 0 in 12 s", async (measure) => {
	const { service, caller, serve, close } = await rig.apart();
	const second = await serve().ready();
	let [code, took]: [number | undefined, number] = [undefined, 0];
	const askings = await underLoad(caller, 300, rig.world.question, async () => {
		await sleep(1_500);
		const start = performance.now();
		service.signal("SIGTERM");
		code = await service.exited();
		took = performance.now() - start;
		await sleep(1_000);
	});
	const [lost, ...shares] = [lostOf(askings), decisionsOf(service), decisionsOf(second)];
	measure(`${askings.length} calls (${shares.join(" + ")}), ${lost} lost; exit ${code} after ${seconds(took)}`);
	await close();
	expect(Math.min(...shares)).toBeGreaterThan(100);
	expect(lost).toBe(0);
	expect(code).toBe(0);
	expect(took).toBeLessThan(12_000);
});

/** A service with a check in hand that lasts, because an agent is silent. */
async function busy() {
	const apart = await rig.apart();
	await apart.caller.untilAnswered(rig.world.question(0));
	await sleep(2_500); // The snapshots that it knows are too old then.
	for (const proxy of rig.world.proxies) proxy.set({ lost: ["to-client"] });
	const { msgId } = await apart.caller.ask(rig.world.question(0));
	await apart.service.says(/.*/, 1_000);
	await sleep(300);
	return { ...apart, msgId };
}

function wakeAgents(): void {
	for (const proxy of rig.world.proxies) {
		proxy.cut();
		proxy.heal();
	}
}

row(70, "SIGTERM while agents are silent", "answered, exit 0 in 12 s", async (measure) => {
	const { service, caller, msgId, close } = await rig.fault(busy);
	const start = performance.now();
	service.signal("SIGTERM");
	const code = await service.exited();
	const took = performance.now() - start;
	const answer = await caller.answer(msgId, 1_000);
	wakeAgents();
	measure(`${answer ? "answered" : "not answered"}; exit ${code} after ${seconds(took)}`);
	await close();
	expect(answer?.result).toMatchObject({ verdict: "unknown" });
	expect(code).toBe(0);
	expect(took).toBeLessThan(12_000);
});

for (const [first, second, expected] of [
	["SIGTERM", "SIGTERM", 143],
	["SIGTERM", "SIGINT", 130],
	["SIGINT", "SIGTERM", 143],
] as const) {
	row(71, `${first}, then ${second}`, `exit ${expected} <= 200 ms`, async (measure) => {
		const codes = new Set<number | undefined>();
		const took = await leastOf(3, 200, async () => {
			const { service, close } = await rig.fault(busy);
			service.signal(first);
			await service.says(new RegExp(`stopping on ${first}`));
			const start = performance.now();
			service.signal(second);
			codes.add(await service.exited());
			const took = performance.now() - start;
			wakeAgents();
			await close();
			return took;
		});
		measure(`exit ${[...codes].join(", ")} after ${seconds(took)}`);
		expect([...codes]).toEqual([expected]);
		expect(took).toBeLessThan(200);
	});
}

row(72, "SIGKILL at 300 calls a second, beside a second instance", "0 lost, answered <= 2 s later", async (measure) => {
	const { service, caller, serve, close } = await rig.apart();
	const second = await serve().ready();
	let killed = 0;
	const askings = await underLoad(caller, 300, rig.world.question, async () => {
		await sleep(1_500);
		killed = performance.now();
		service.signal("SIGKILL");
		await sleep(1_500);
	});
	const lost = lostOf(askings);
	const late = Math.max(...askings.map(({ sentAt, answeredAt = 0 }) => answeredAt - Math.max(sentAt, killed)));
	const redelivered = askings.filter(({ sentAt, answeredAt = 0 }) => sentAt < killed && answeredAt > killed).length;
	measure(`${askings.length} calls, ${lost} lost; ${redelivered} across the kill, <= ${seconds(late)} later`);
	expect(decisionsOf(second)).toBeGreaterThan(100);
	await close();
	expect(lost).toBe(0);
	expect(late).toBeLessThan(2_000);
});

/** By which the engine's "no" of question 1 becomes a "yes", if it is in force. */
function overriding(): string {
	const [created, expires] = [-60_000, 3_600_000].map((ms) => new Date(Date.now() + ms).toISOString());
	const scope = "{ target_host: cmp-03, code: version.* }";
	return `overrides:\n  - author: jane\n    reason: change 4711\n    created: ${created}\n    expires: ${expires}\n    scope: ${scope}\n`;
}

const reloads = ({ log }: Process, which: "reloaded" | "not reloaded") =>
	log.split(` configuration ${which}`).length - 1;

row(
	73,
	"a broken configuration, then a broken policy, at SIGHUP",
	"the old one stays, no gap, file:line",
	async (measure) => {
		const policy = join(temporaryDirectory(), "policy.yaml");
		writeFileSync(policy, "direction: target-accepts\n");
		const { service, caller, close } = await rig.apart({ options: { policy_file: policy } });
		await caller.untilAnswered(rig.world.question(0));
		const config = join(service.directory, "novacompat.yaml");
		const askings = await underLoad(caller, 100, rig.world.question, async () => {
			writeFileSync(policy, "direction: target-accepts\nrules:\n  - { attribute: x\n");
			service.signal("SIGHUP");
			await service.says(/ ERROR .*policy\.yaml:\d+:\d+: /);
			writeFileSync(policy, overriding());
			writeFileSync(config, "host: [\n");
			service.signal("SIGHUP");
			await service.says(/ ERROR .*novacompat\.yaml:\d+:\d+: /);
		});
		const [lost, slowest] = [
			lostOf(askings),
			Math.max(...askings.map(({ sentAt, answeredAt = 0 }) => answeredAt - sentAt)),
		];
		measure(`${askings.length} calls, ${lost} lost, slowest ${seconds(slowest)}; 2 refused, each with file:line`);
		expect(reloads(service, "reloaded")).toBe(0);
		await close();
		expect(lost).toBe(0);
		expect(slowest).toBeLessThan(1_000);
	},
);

row(73, "an override in the policy, at SIGHUP", "in force <= 3 s, WARNING when used", async (measure) => {
	const policy = join(temporaryDirectory(), "policy.yaml");
	writeFileSync(policy, "direction: target-accepts\n");
	const { service, caller, close } = await rig.apart({ options: { policy_file: policy } });
	const verdict = async () => {
		const { expected: _, ...question } = rig.world.question(1);
		const { msgId } = await caller.ask(question);
		return (await caller.answer(msgId, 5_000))?.result;
	};
	await caller.untilAnswered(rig.world.question(0));
	expect(await verdict()).toMatchObject({ verdict: "reject" });
	writeFileSync(`${policy}.new`, overriding());
	renameSync(`${policy}.new`, policy);
	const start = performance.now();
	service.signal("SIGHUP");
	await service.says(/ INFO .* configuration reloaded/);
	const took = performance.now() - start;
	expect(await verdict()).toMatchObject({ verdict: "accept" });
	await service.says(/ WARNING .* live migration cmp-01 -> cmp-03: accept .*override\.used: jane overrides/);
	measure(`in force after ${seconds(took)}`);
	await close();
	expect(took).toBeLessThan(3_000);
});

row(
	74,
	"a policy whose writer stops at the end of a line, for good",
	"refused; whole, it is taken",
	async (measure) => {
		const policy = join(temporaryDirectory(), "policy.yaml");
		const lines = [...overriding().trimEnd().split("\n"), "rules:", "  - { attribute: x, kind: ignore }", "..."];
		writeFileSync(policy, "direction: source-declares\n...\n");
		const { service, caller, close } = await rig.apart({ options: { policy_file: policy } });
		await caller.untilAnswered(rig.world.question(0));
		const refused: string[] = [];
		// The last two: without the rule, and without the end.
		for (const count of [0, 1, lines.length - 2, lines.length - 1]) {
			writeFileSync(
				policy,
				lines
					.slice(0, count)
					.map((line) => `${line}\n`)
					.join(""),
			);
			const before = service.log.length;
			service.signal("SIGHUP");
			await expect.poll(() => service.log.slice(before), { timeout: 10_000 }).toMatch(/ configuration (not )?reloaded/);
			refused.push(...(/ ERROR .*policy\.yaml:\d+/.exec(service.log.slice(before)) ?? []));
		}
		expect(service.log).not.toContain("policy changed");
		writeFileSync(policy, `${lines.join("\n")}\n`);
		service.signal("SIGHUP");
		await service.says(/policy changed from .*[\s\S]* configuration reloaded/);
		measure(`${refused.length} of 4 refused, with file:line; then taken`);
		await close();
		expect(refused).toHaveLength(4);
	},
);

row(74, "a policy that is written while it is reloaded", "never a part of it", async (measure) => {
	const policy = join(temporaryDirectory(), "policy.yaml");
	const padding = Array.from({ length: 40 }, (_, index) => `  - { attribute: x${index}, kind: ignore }\n`).join("");
	const texts = [`${overriding()}rules:\n${padding}`, `direction: source-declares\nrules:\n${padding}`];
	writeFileSync(policy, texts[0] ?? "");
	const { service, caller, close } = await rig.apart({ options: { policy_file: policy } });
	await caller.untilAnswered(rig.world.question(0));
	const whole = new Set<string>();
	for (const text of [...texts].reverse()) {
		writeFileSync(policy, text);
		const before = reloads(service, "reloaded");
		service.signal("SIGHUP");
		await expect.poll(() => reloads(service, "reloaded"), { timeout: 10_000 }).toBe(before + 1);
	}
	for (const [, from = "", to = ""] of service.log.matchAll(/policy changed from (\w+) to (\w+)/g))
		whole.add(from).add(to);
	expect(whole.size).toBe(2);
	for (let round = 0; round < 6; round++) {
		const text = texts[round % 2] ?? "";
		const part = Math.ceil(text.length / 12);
		writeFileSync(policy, "");
		for (let end = part; end < text.length + part; end += part) {
			writeFileSync(policy, text.slice(0, end));
			service.signal("SIGHUP");
			await sleep(100);
		}
	}
	await sleep(2_000);
	writeFileSync(policy, (texts[0] ?? "").slice(0, -20));
	service.signal("SIGHUP");
	await service.says(/ ERROR .*policy\.yaml:\d+/);
	const seen = [...service.log.matchAll(/policy changed from (\w+) to (\w+)/g)].flatMap(([, from, to]) => [from, to]);
	const parts = new Set(seen.filter((digest) => digest !== undefined && !whole.has(digest)));
	measure(
		`6 times in 12 parts: ${reloads(service, "reloaded") - 2} reloads, ${parts.size} of a part; cut short: refused`,
	);
	await close();
	expect(parts.size).toBe(0);
});

for (const crash of ["exception", "rejection"] as const) {
	row(81, `an ${crash} that nobody handles`.replace("an r", "a r"), "exit 70, 0 lost, back <= 3 s", async (measure) => {
		const { service, caller, serve, close } = await rig.apart();
		await caller.untilAnswered(rig.world.question(0));
		let [code, back]: [number | undefined, number] = [undefined, 0];
		const askings = await underLoad(caller, 100, rig.world.question, async () => {
			await sleep(500);
			await rig.fault(async () => {
				service.inflict({ crash });
				code = await service.exited();
				const start = performance.now();
				// RestartSec of the unit.
				await sleep(1_000);
				await serve().ready();
				back = performance.now() - start;
			});
			await sleep(500);
		});
		const lost = lostOf(askings);
		measure(`exit ${code}; ${askings.length} calls, ${lost} lost; back ${seconds(back)}`);
		expect(service.log).toMatch(new RegExp(` ERROR novacompat.serve \\[-\\] crashed: Error: an? ${crash} that nobody`));
		await close();
		expect(code).toBe(70);
		expect(lost).toBe(0);
		expect(back).toBeLessThan(3_000);
	});
}
