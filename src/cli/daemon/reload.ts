import { readFileSync, statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { inspect } from "node:util";
import type { Logger } from "../../log/logger.ts";
import { fileVersions } from "../../snapshot/file-versions.ts";
import { ConfigError, isClosed } from "../../yaml.ts";
import { UsageError } from "../exit-codes.ts";

/** Files are not read while somebody writes them: until nothing has changed for so long, but no longer than that. */
const QUIET_MS = 500;
const PATIENCE_MS = 10_000;

/** Reads what the configuration names, and returns what takes it into use. Throws ConfigError; nothing has changed then. */
type Prepare<Config> = (config: Config) => () => void;

export interface ReloadCounts {
	readonly success: number;
	readonly failure: number;
	/** Seconds since 1970; the start counts. */
	readonly last_success: number;
}

/** Paths of files. */
interface Named {
	/** Of text that ends with a newline. */
	readonly texts: readonly string[];
	readonly others: readonly string[];
}

export interface ReloadsOptions<Config> {
	readonly config: Config;
	/** Of the configuration itself, as they are now. */
	readonly files: () => readonly string[];
	readonly read: () => Config;
	/** What else is read with a configuration. */
	readonly named?: (config: Config) => Named;
	readonly prepare: readonly Prepare<Config>[];
	/** What is taken while the process runs. None of it is a secret, nor are the paths in it. */
	readonly isMutable: (option: keyof Config, from: Config, to: Config) => boolean;
	readonly log: Logger;
}

/** Takes a changed configuration whole or not at all, as `mutate_config_files` of oslo.config does. */
export class Reloads<Config extends object> {
	readonly #options: ReloadsOptions<Config>;
	#config: Config;
	/** Files that ended with YAML's end marker when they were taken. */
	#closed: ReadonlySet<string>;
	#success = 0;
	#failure = 0;
	#lastSuccess = Date.now();
	#work: Promise<void> | undefined;
	#isAskedAgain = false;

	constructor(options: ReloadsOptions<Config>) {
		this.#options = options;
		this.#config = options.config;
		this.#closed = closedOf(this.#named(options.files(), options.config).texts.filter(isRegular));
	}

	/** As it is in force. */
	get config(): Config {
		return this.#config;
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
			const text = isTheirs(error) ? error.message : inspect(error);
			log.error(`configuration not reloaded, everything stays as it was: ${text.replaceAll("\n", "; ")}`);
		}
	}

	async #take(): Promise<void> {
		const { read, prepare } = this.#options;
		await untilQuiet(this.#options.files());
		const files = this.#options.files();
		const config = read();
		const { texts, others } = this.#named(files, config);
		const named = [...texts, ...others];
		const version = await untilQuiet(named);
		// What is not there whoever needs it tells better.
		const there = texts.filter(isRegular);
		for (const file of there) checkEnd(file, this.#closed.has(file));
		const closed = closedOf(there);
		const takes = prepare.map((one) => one(config));
		if (fileVersions(named) !== version) throw new ConfigError("files were written while they were read");
		for (const take of takes) take();
		this.#closed = closed;
		this.#config = { ...this.#config, ...this.#tell(config) };
	}

	#named(files: readonly string[], config: Config): Named {
		const { texts, others } = this.#options.named?.(config) ?? { texts: [], others: [] };
		return { texts: [...files, ...texts], others };
	}

	/** What has changed, in the words of oslo.config; returns the options that were taken. */
	#tell(to: Config): Partial<Config> {
		const { log, isMutable } = this.#options;
		const from = this.#config;
		const options = [...new Set([...Object.keys(from), ...Object.keys(to)])] as (keyof Config)[];
		const changed = options.filter((option) => shown(from[option]) !== shown(to[option]));
		const taken = changed.filter((option) => isMutable(option, from, to));
		for (const option of changed) {
			if (!taken.includes(option))
				log.warning(`Ignoring change to immutable option ${String(option)}: it needs a restart`);
			else log.info(`Config option ${String(option)} changed from ${shown(from[option])} to ${shown(to[option])}`);
		}
		return Object.fromEntries(taken.map((option) => [option, to[option]])) as Partial<Config>;
	}
}

/** Files that are wrong, or cannot be read; anything else is a bug. */
function isTheirs(error: unknown): error is Error {
	if (error instanceof ConfigError || error instanceof UsageError) return true;
	return error instanceof Error && "code" in error && "syscall" in error;
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
