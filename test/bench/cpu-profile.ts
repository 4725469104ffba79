import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";

const ProfileNode = z.object({
	id: z.number(),
	callFrame: z.object({ functionName: z.string(), url: z.string() }),
	/** How often a sample found the function at which line. */
	positionTicks: z.array(z.object({ line: z.number(), ticks: z.number() })).default([]),
});
type ProfileNode = z.infer<typeof ProfileNode>;

/** What Node writes with --cpu-prof: the functions that were called, and which of them ran when (microseconds). */
const CpuProfile = z.object({
	nodes: z.array(ProfileNode),
	endTime: z.number(),
	samples: z.array(z.number()),
	timeDeltas: z.array(z.number()),
});

/** Microseconds in functions themselves, without what they call. */
export interface SelfTime {
	readonly byArea: ReadonlyMap<string, number>;
	readonly byFunction: ReadonlyMap<string, number>;
}

const JSON_AREA = "JSON";
/** What a function without a file, or one of Node's own files, belongs to: the first that fits. */
const AREAS: readonly (readonly [RegExp, string])[] = [
	[/^\(idle\)/, "idle"],
	[/^\(garbage collector\)/, "garbage collection"],
	[/^write|^shutdown/, "node: socket writes"],
	[/abort_controller|domexception|event_target/, "node: abort signals"],
	[/timers|priority_queue/, "node: timers"],
	[/^node:.*(net|stream|buffer)|^utf8|^latin1|^copy|Buffer/, "node: net, stream, buffer"],
	[/promises|task_queues|[mM]icrotasks|async_hooks/, "node: promises, ticks"],
	[/^node:/, "node: the rest"],
];

/** The last `seconds` of a profile: what comes before is the start and the warming up. */
export function selfTime(file: string, seconds: number): SelfTime {
	const { nodes, endTime, samples, timeDeltas } = CpuProfile.parse(JSON.parse(readFileSync(file, "utf8")));
	const times = new Map<number, number>();
	for (let index = samples.length - 1, from = endTime; index >= 0 && from > endTime - seconds * 1e6; index--) {
		const id = samples[index] ?? 0;
		// A sample lasts until the next one.
		const time = index === samples.length - 1 ? 0 : (timeDeltas[index + 1] ?? 0);
		times.set(id, (times.get(id) ?? 0) + time);
		from -= time;
	}
	const [byArea, byFunction] = [new Map<string, number>(), new Map<string, number>()];
	const add = (sums: Map<string, number>, key: string, time: number) => sums.set(key, (sums.get(key) ?? 0) + time);
	for (const node of nodes) {
		const time = times.get(node.id);
		if (time === undefined) continue;
		const json = time * jsonShare(node);
		add(byArea, JSON_AREA, json);
		add(byArea, areaOf(node), time - json);
		const { functionName, url } = node.callFrame;
		add(byFunction, `${functionName || "(anonymous)"}  ${url.replace(/^.*\/(node_modules|dist)\//, "")}`, time);
	}
	return { byArea, byFunction };
}

/** JSON.parse and JSON.stringify have no entry of their own: their time is that of the line which calls them. */
function jsonShare({ callFrame: { url }, positionTicks }: ProfileNode): number {
	if (!url.startsWith("file:")) return 0;
	const lines = readFileSync(fileURLToPath(url), "utf8").split("\n");
	const sum = (ticks: ProfileNode["positionTicks"]) => ticks.reduce((total, { ticks }) => total + ticks, 0);
	return sum(positionTicks.filter(({ line }) => lines[line - 1]?.includes("JSON."))) / (sum(positionTicks) || 1);
}

function areaOf({ callFrame: { functionName, url } }: ProfileNode): string {
	const [, ours] = /\/dist\/(?:src|test)\/(.+)$/.exec(url) ?? [];
	const [, dependency] = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url) ?? [];
	const name = url === "" ? functionName : url;
	return dependency ?? ours ?? AREAS.find(([pattern]) => pattern.test(name))?.[1] ?? "V8 and natives";
}
