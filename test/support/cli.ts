import { spawnSync } from "node:child_process";

export const REPOSITORY = new URL("../..", import.meta.url).pathname;
export const MAIN = `${REPOSITORY}dist/src/cli/main.js`;
export const AGENT_MAIN = `${REPOSITORY}dist/src/cli/agent-main.js`;

/** Runs the built command line as a user does. */
export function novacompat(...args: readonly string[]) {
	return novacompatWith({}, ...args);
}

interface CliOptions {
	readonly input?: string;
	readonly env?: Readonly<Record<string, string>>;
	/** Milliseconds after which it is ended, for what may not end by itself; its status is null then. */
	readonly timeout?: number;
}

/** The same with something on standard input and in the environment. */
export function novacompatWith({ input = "", env = {}, timeout }: CliOptions, ...args: readonly string[]) {
	const { status, stdout, stderr } = spawnSync(process.execPath, [MAIN, ...args], {
		cwd: REPOSITORY,
		encoding: "utf8",
		input,
		timeout,
		killSignal: "SIGKILL",
		env: { ...process.env, FORCE_COLOR: undefined, ...env },
	});
	return { status, stdout, stderr };
}

/**
 * The same on a terminal, with what it shows; script(1) has one. Nothing but PATH is taken over from the environment of
 * the tests: Node.js takes much of it for a word about colours, CI among them (`tty.WriteStream.getColorDepth`).
 */
export function novacompatOnTerminal(env: Readonly<Record<string, string>>, ...args: readonly string[]) {
	const command = [process.execPath, MAIN, ...args].map((word) => `'${word}'`).join(" ");
	const { status, stdout: terminal } = spawnSync("script", ["-qec", command, "/dev/null"], {
		cwd: REPOSITORY,
		encoding: "utf8",
		input: "",
		env: { PATH: process.env["PATH"], TERM: "xterm-256color", ...env },
	});
	return { status, terminal };
}
