import { readdirSync, readFileSync } from "node:fs";

type Labels = Readonly<Record<string, string>>;
type Sample = readonly [labels: Labels, value: number];

/** One metric in Prometheus' text format, version 0.0.4. */
export function family(name: string, type: "counter" | "gauge", help: string, samples: readonly Sample[]): string {
	return head(name, type, help) + samples.map(([labels, value]) => line(name, labels, value)).join("");
}

/** How many of what came to which outcome: one label, with a value for each key. */
export function countFamily(
	name: string,
	help: string,
	label: string,
	counts: Readonly<Record<string, number>>,
): string {
	const samples = Object.entries(counts).map(([value, count]) => [{ [label]: value }, count] as const);
	return family(name, "counter", help, samples);
}

/** Durations or ages in seconds, counted in buckets. */
export class Histogram {
	readonly #bounds: readonly number[];
	/** Of each bucket by itself; the last one is without a bound. */
	readonly #counts: number[];
	#sum = 0;

	/** `bounds`: upper ends of the buckets, in rising order. */
	constructor(bounds: readonly number[]) {
		this.#bounds = bounds;
		this.#counts = Array.from({ length: bounds.length + 1 }, () => 0);
	}

	observe(value: number): void {
		let bucket = 0;
		while (value > (this.#bounds[bucket] ?? Number.POSITIVE_INFINITY)) bucket++;
		this.#counts[bucket] = (this.#counts[bucket] ?? 0) + 1;
		this.#sum += value;
	}

	family(name: string, help: string): string {
		let count = 0;
		const buckets = this.#counts.map((own, bucket) => {
			count += own;
			return line(`${name}_bucket`, { le: String(this.#bounds[bucket] ?? "+Inf") }, count);
		});
		return [
			head(name, "histogram", help),
			...buckets,
			line(`${name}_sum`, {}, this.#sum),
			line(`${name}_count`, {}, count),
		].join("");
	}
}

/** What every exporter tells of its process; `what` is the process, in words. */
export function processFamilies(what: string): readonly string[] {
	const { user, system } = process.cpuUsage();
	return [
		family("process_cpu_seconds_total", "counter", `Processor time of ${what}.`, [[{}, (user + system) / 1e6]]),
		family("process_resident_memory_bytes", "gauge", `Memory of ${what}.`, told(process.memoryUsage.rss)),
		family("process_start_time_seconds", "gauge", `When ${what} was started, in seconds since 1970.`, [
			[{}, Math.round(performance.timeOrigin) / 1000],
		]),
		family(
			"process_open_fds",
			"gauge",
			`Open file descriptors of ${what}.`,
			told(() => readdirSync("/proc/self/fd").length),
		),
		family("process_max_fds", "gauge", `How many ${what} may have open.`, told(maxOpenFiles)),
	];
}

/** Soft limit, see proc_pid_limits(5). */
function maxOpenFiles(): number {
	return Number(/^Max open files +(\d+)/m.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
}

/** What the kernel tells of this process: nothing when no descriptor is left to ask it with. */
function told(read: () => number): readonly Sample[] {
	try {
		return [[{}, read()]];
	} catch {
		return [];
	}
}

function head(name: string, type: string, help: string): string {
	return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n`;
}

/** Values of labels are our own words, which need no escapes. */
function line(name: string, labels: Labels, value: number): string {
	const words = Object.entries(labels).map(([label, text]) => `${label}="${text}"`);
	return `${name}${words.length > 0 ? `{${words.join(",")}}` : ""} ${value}\n`;
}
