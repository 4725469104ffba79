import { startAgentsLoad } from "./agents-load.ts";
import { Children } from "./children.ts";

/** Milliseconds of each check or ranking. */
export interface ManyAgents {
	readonly healthy: readonly number[];
	readonly hanging: readonly number[];
	readonly rankings: readonly number[];
	readonly alone: readonly number[];
	readonly cached: readonly number[];
}

/**
 * How long does a check take among so many hosts, when the agents of half of them hang? Everything begins cold: no agent has answered yet,
 * and nobody knows which of them hang. The bus is in memory; what it costs is in bench:bus.
 */
export async function measureManyAgents(count: number, seconds: number): Promise<ManyAgents> {
	const children = new Children();
	const load = await startAgentsLoad(children, count);
	const [healthy, hanging, rankings] = await Promise.all([
		load.healthy(seconds, 100),
		load.hanging(seconds, 32),
		load.rankings(seconds),
	]);
	const alone = await load.healthy(seconds / 3, 100);
	const cached = await load.cached(2_000);
	await load.stop();
	return { healthy, hanging, rankings, alone, cached };
}
