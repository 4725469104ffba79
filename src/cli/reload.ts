import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Config } from "../config.ts";
import type { Logger } from "../log.ts";
import { fileVersions } from "../snapshot/agent-tls.ts";
import { ConfigError, isClosed } from "../yaml.ts";
import { brokerTlsFiles } from "./broker-tls.ts";

/** Files are not read while somebody writes them: until nothing has changed for so long, but no longer than that. */
const QUIET_MS = 500;
const PATIENCE_MS = 10_000;

/** Reads what the configuration names, and returns what takes it into use. Throws ConfigError; nothing has changed then. */
type Prepare = (config: Config) => () => void;

export interface ReloadCounts {
	readonly success: number;
	readonly failure: number;
	/** Seconds since 1970; the start counts. */
	readonly last_success: number;
}

export interface ReloadsOptions {
	readonly config: Config;
	/** Of the configuration itself, as they are now. */
	readonly files: () => readonly string[];
	readonly read: () => Config;
	readonly prepare: readonly Prepare[];
	readonly log: Logger;
}

/** Takes a changed configuration whole or not at all, as `mutate_config_files` of oslo.config does. */
export class Reloads {
	readonly #options: ReloadsOptions;
	#config: Config;
	/** Files that ended with YAML's end marker when they were taken. */
	#closed: ReadonlySet<string>;
	#success = 0;
	#failure = 0;
	#lastSuccess = Date.now();
	#work: Promise<void> | undefined;
	#isAskedAgain = false;

	constructor(options: ReloadsOptions) {
		this.#options = options;
		this.#config = options.config;
		this.#closed = closedOf(textsOf(options.files(), options.config).filter(isRegular));
	}

	get counts(): ReloadCounts {
		return { success: this.#success, failure: this.#failure, last_success: this.#lastSuccess / 1000 };
	}

	/** Never throws; who asks while a reload is under way gets one more after it. */
	request(): void {
		this.#isAskedAgain = this.#work !== undefined;
		this.#work ??= this.#reload().finally(() => {
			this.#work = undefined;
			if (this.#isAskedAgain) this.request();
		});
	}

	async #reload(): Promise<void> {
		const { log } = this.#options;
		try {
			await this.#take();
			this.#success++;
			this.#lastSuccess = Date.now();
			log.info("configuration reloaded");
		} catch (error) {
			this.#failure++;
			const text = error instanceof ConfigError ? error.message : inspect(error);
			log.error(`configuration not reloaded, everything stays as it was: ${text.replaceAll("\n", "; ")}`);
		}
	}

	async #take(): Promise<void> {
		const { read, prepare } = this.#options;
		await untilQuiet(this.#options.files());
		const files = this.#options.files();
		const config = read();
		const texts = textsOf(files, config);
		const named = [...texts, ...Object.values(config.agent_tls ?? {}), ...brokerTlsFiles(config)];
		const version = await untilQuiet(named);
		for (const file of texts) checkEnd(file, this.#closed.has(file));
		const closed = closedOf(texts);
		const takes = prepare.map((one) => one(config));
		if (fileVersions(named) !== version) throw new ConfigError("files were written while they were read");
		for (const take of takes) take();
		this.#closed = closed;
		this.#config = { ...this.#config, ...this.#tell(config) };
	}

	/** What has changed, in the words of oslo.config; returns the options that were taken. */
	#tell(to: Config): Partial<Config> {
		const { log } = this.#options;
		const from = this.#config;
		const options = [...new Set([...Object.keys(from), ...Object.keys(to)])] as (keyof Config)[];
		const changed = options.filter((option) => shown(from[option]) !== shown(to[option]));
		const taken = changed.filter((option) => isMutable(option, from, to));
		for (const option of changed) {
			if (!taken.includes(option)) log.warning(`Ignoring change to immutable option ${option}: it needs a restart`);
			else log.info(`Config option ${option} changed from ${shown(from[option])} to ${shown(to[option])}`);
		}
		return Object.fromEntries(taken.map((option) => [option, to[option]]));
	}
}

/** What a service takes while it runs. None of it is a secret, nor are the paths in it. */
function isMutable(option: keyof Config, from: Config, to: Config): boolean {
	if (option === "agent_tls") return from.agent_tls !== undefined && to.agent_tls !== undefined;
	return option === "debug" || option === "policy_file";
}

/** Of paths; returns their version. Throws ConfigError when somebody goes on writing. */
async function untilQuiet(files: readonly string[]): Promise<string> {
	const giveUp = performance.now() + PATIENCE_MS;
	for (let version = fileVersions(files); performance.now() < giveUp; ) {
		await sleep(QUIET_MS);
		const now = fileVersions(files);
		if (now === version) return version;
		version = now;
	}
	throw new ConfigError(`${files.join(", ")}: still being written after ${PATIENCE_MS / 1000} s`);
}

function textsOf(files: readonly string[], { policy_file }: Config): readonly string[] {
	return policy_file === undefined ? files : [...files, policy_file];
}

/** A pipe can be read only once, which was the start. */
function isRegular(file: string): boolean {
	return statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

function closedOf(files: readonly string[]): ReadonlySet<string> {
	return new Set(files.filter((file) => isClosed(readFileSync(file, "utf8"))));
}

/** Whoever was interrupted while he wrote a file hardly ever stopped behind a line, and never behind YAML's end marker. */
function checkEnd(file: string, wasClosed: boolean): void {
	const text = readFileSync(file, "utf8");
	if (text.endsWith("\n") && (!wasClosed || isClosed(text))) return;
	const expected = text.endsWith("\n") ? '"..." at the end as before' : "a newline at the end";
	throw new ConfigError(`${file}:${text.split("\n").length}: expected ${expected}: is the file only half written?`);
}

/** Complete, so that what is shown alike is alike. */
function shown(value: unknown): string {
	if (value === undefined) return "nothing";
	const whole = { depth: null, maxArrayLength: null, maxStringLength: null, breakLength: Number.POSITIVE_INFINITY };
	return typeof value === "string" ? value : inspect(value, whole);
}
