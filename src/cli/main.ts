#!/usr/bin/env node
import { hostname } from "node:os";
import { Command, CommanderError, InvalidArgumentError, Option } from "commander";
import { DEFAULT_LIBVIRT_CONFIG_DIR, DEFAULT_LIBVIRT_DIR, DEFAULT_OVERLAY_DIR } from "../agent/places.ts";
import { DEFAULT_JOURNAL_DIR } from "../journal/files.ts";
import { MIGRATION_COMPAT_TOPIC } from "../nova/topic.ts";
import { busOptions } from "./bus-options.ts";
import { EXIT } from "./exit-codes.ts";
import { addJournalCommands } from "./journal-commands.ts";
import { collect, outputOptions, repeatable } from "./output-options.ts";
import { build } from "./version.ts";

// Each command loads what it needs when it is called.

const LONGEST_TIMEOUT = 86_400;

const program = new Command("novacompat")
	.description("Tells Nova, before a live migration, whether the devices of an instance can continue elsewhere.")
	.version(build().version)
	.exitOverride()
	.configureHelp({ showGlobalOptions: true })
	.hook("preAction", (_, command) => {
		if (command.opts()["color"] === false) Object.assign(process.env, { NO_COLOR: "1", FORCE_COLOR: "0" });
	});

program
	.command("serve")
	.description("answer Nova's pre-checks on the RPC bus")
	.option("--config-file <file>", "configuration, see config/README.md; may be repeated, the last one wins", collect)
	.option("--config-dir <dir>", "... and all *.yaml in it, after the files; may be repeated", collect)
	.addOption(
		new Option(
			"--nova-conf <file...>",
			"nova.conf, for what the configuration does not say of the bus; the last one wins",
		).default([], "none"),
	)
	.addHelpText(
		"after",
		"\nSIGHUP reads configuration, policy and certificates again, SIGUSR2 writes a report of its state to the log.\nExit codes: 0 stopped, 64 usage, 70 crashed, 78 configuration, 130 and 143 ended at once by a second SIGINT or SIGTERM,\n255 bug at the start.",
	)
	.action(async (options) => (await import("./serve/serve.ts")).serve(options));

program
	.command("agent")
	.description("serve the snapshot of this compute node over HTTPS; see --help behind it, or novacompat-agent")
	.helpOption(false)
	.allowUnknownOption()
	.argument("[options...]")
	.action(async (words) => (await import("./agent/agent.ts")).agent(words));

scanOptions(program.command("snapshot"))
	.description("print the snapshot of this compute node as JSON")
	.action(async (options) => (await import("./snapshot.ts")).snapshot(options));

outputOptions(scanOptions(program.command("doctor")))
	.description(
		"say what the agent finds on this host, what it cannot read, and what migration of each device hinges on",
	)
	.option("--policy <file>", "policy (default: the built-in one, config/policy.yaml)")
	.addHelpText(
		"after",
		"\nExit codes: 0 good, 1 something to look at, 2 the host cannot be read, 64 usage, 78 configuration, 255 bug.",
	)
	.action(async (options) => {
		process.exitCode = await (await import("./doctor/doctor.ts")).doctor(options);
	});

outputOptions(program.command("explain"))
	.description("decide offline, and show why; the exit code is the verdict")
	.option("--source <path>", "snapshot file, host tree or sysfs root of the host that has the devices")
	.option("--target <path...>", "the same of the host that shall take them; several make a block each")
	.option("--device <id...>", "device on the source (default: those that instances use)")
	.option("--policy <file>", "policy (default: the built-in one, config/policy.yaml)")
	.option("--journal <id>", "a decision of the journal, and what it would be if something were otherwise")
	.option("--set <path=value...>", "... as target.devices[0000:3b:10.0].attributes.software_version=1.3.0")
	.option("--unset <path...>", "... without that attribute")
	.option("--directory <path...>", "journal, or some of its files", [DEFAULT_JOURNAL_DIR])
	.addHelpText(
		"after",
		"\nExit codes: 0 accept, 1 accept with warnings or conditional, 2 reject, 3 unknown, 64 usage,\n78 the policy cannot be used, 255 bug. Of several targets the best one counts.",
	)
	.action(async (options) => {
		const { journal } = options;
		process.exitCode =
			journal === undefined
				? await (await import("./explain.ts")).explain(options)
				: await (await import("./what-if.ts")).whatIf(options);
	});

outputOptions(program.command("rank"))
	.description(
		"order hosts by how well they can take the devices of another one, offline; the exit code is that of the first",
	)
	.requiredOption("--source <path>", "snapshot file, host tree or sysfs root of the host that has the devices")
	.requiredOption("--targets <path...>", "hosts, or directories of snapshot files *.json or host trees <host>/sys")
	.option("--device <id...>", "device on the source (default: those that instances use)")
	.option("--policy <file>", "policy (default: the built-in one, config/policy.yaml)")
	.option("--limit <hosts>", "how many hosts to show (default: all)", readLimit)
	.addHelpText("after", "\nExit codes: those of explain.")
	.action(async (options) => {
		process.exitCode = await (await import("./rank.ts")).rank(options);
	});

outputOptions(program.command("matrix"), ["html"])
	.description("show which host takes which class of devices from which other host, whatever is in use now")
	.requiredOption("--hosts <path...>", "hosts, or directories of snapshot files *.json or host trees <host>/sys")
	.option("--policy <file>", "policy (default: the built-in one, config/policy.yaml)")
	.addHelpText("after", "\nExit codes: 0 shown, 64 usage, 78 the policy cannot be used, 255 bug.")
	.action(async (options) => (await import("./matrix.ts")).matrix(options));

program
	.command("config")
	.description("work with configuration files")
	.command("check [file...]")
	.description(
		"say what is wrong, odd or unsafe about a configuration of `serve`: 0 nothing, 1 warnings, 78 it cannot be used",
	)
	.option("--agent", "of the agent instead")
	.option("--config-dir <dir>", "all *.yaml in it, after the files; may be repeated", collect)
	.addOption(repeatable("--nova-conf <file>", "nova.conf, as `serve` gets it", []))
	.action(async (files, options) => {
		process.exitCode = await (await import("./config/check.ts")).configCheck(files, options);
	});

const policy = program.command("policy").description("work with policy files");

policy
	.command("check <file>")
	.description("say what is wrong or odd about a policy file: 0 nothing, 1 warnings, 78 it cannot be used")
	.action(async (file) => {
		process.exitCode = (await import("./policy.ts")).policyCheck(file);
	});

outputOptions(policy.command("diff <old> <new>"))
	.description(
		"list the decisions of a journal that are others under a new policy: 0 none, 1 some, or it is damaged, 78 no policy",
	)
	.addOption(repeatable("--journal <path>", "journal, or some of its files", [DEFAULT_JOURNAL_DIR]))
	.action(async (older, newer, options) => {
		process.exitCode = (await import("./policy-diff.ts")).policyDiff(older, newer, options);
	});

addJournalCommands(program);

program
	.command("demo")
	.description("replay recorded Nova messages through the service and two agents, without a broker")
	.action(async () => (await import("./demo.ts")).demo());

dryRunOptions(program.command("precheck <instance> <source> <dest>"))
	.description("ask the running service whether an instance may go to a host; nothing is migrated")
	.action(async (instance, source, dest, options) => {
		process.exitCode = await (await import("./precheck.ts")).precheck(instance, source, dest, options);
	});

dryRunOptions(program.command("where-can-it-go <instance> <source> <dest...>"))
	.description(
		"ask the running service to which of these hosts an instance may go, the best first; nothing is migrated",
	)
	.action(async (instance, source, dests, options) => {
		process.exitCode = await (await import("./where-can-it-go.ts")).whereCanItGo(instance, source, dests, options);
	});

callOptions(program.command("call <method> [argument...]"))
	.description("call one RPC method of any service on the bus, and print its result as JSON")
	.option("--topic <name>", "topic of the service", MIGRATION_COMPAT_TOPIC)
	.option("--server <host>", "[DEFAULT]host of one service (default: whichever of the topic is free)")
	.option("--namespace <name>", "namespace of the method")
	.option("--rpc-version <version>", "version of the interface in which the method is (default: none, which is 1.0)")
	.option("--cast", "send only, and wait for nothing")
	.addOption(new Option("--fanout", "send to every service of the topic").implies({ cast: true }))
	.option(
		"--call-monitor-timeout <seconds>",
		"how long to wait for a sign of life, of which the service sends two",
		seconds,
	)
	.option("--context <key=value>", "part of the request context; may be repeated", collect)
	.addHelpText(
		"after",
		`
An argument is name=value, where the value is JSON if it can be read as that, else text; or all of them are one JSON
object, or - for one on standard input.

  novacompat call oslo_rpc_server_ping --topic compute --server cmp-01
  novacompat call check_live_migration request='{"instance_uuid": "...", "source_host": "cmp-01", "dest_host": "cmp-02"}'

Exit codes: 0 result printed or message sent, 2 the method failed, 3 no reply in time, 64 usage, 69 nothing listens,
75 no connection to the broker, 78 configuration, 255 bug.`,
	)
	.action(async (method, words, options) => {
		process.exitCode = await (await import("./call.ts")).call(method, words, options);
	});

function callOptions(command: Command): Command {
	return busOptions(command).option("--timeout <seconds>", "how long to wait for the reply", seconds, 60);
}

function dryRunOptions(command: Command): Command {
	return outputOptions(callOptions(command))
		.option("--device <id>", "device on the source (default: those that the instance uses); may be repeated", collect)
		.addHelpText(
			"after",
			`
Hosts are named as nova-compute has them in [DEFAULT]host. Exit codes: 0 accept, 1 accept with warnings or conditional,
2 reject, 3 unknown or no answer, 64 usage, 69 nothing listens, 75 no connection to the broker, 78 configuration, 255 bug.
Of several hosts the best one counts.`,
		);
}

function seconds(text: string): number {
	const value = Number(text);
	if (value > 0 && value <= LONGEST_TIMEOUT) return value;
	throw new InvalidArgumentError(`Expected a number of seconds up to ${LONGEST_TIMEOUT}.`);
}

function readLimit(text: string): number {
	const value = Number(text);
	if (Number.isInteger(value) && value >= 1) return value;
	throw new InvalidArgumentError("Expected a whole number of at least 1.");
}

function scanOptions(command: Command): Command {
	return command
		.addOption(
			new Option("--host <name>", "host name as nova-compute has it in [DEFAULT]host").default(
				hostname(),
				"the machine's host name",
			),
		)
		.option("--sysfs-root <dir>", "where sysfs is mounted", "/sys")
		.option("--libvirt-dir <dir>", "where libvirt keeps the XML of running domains", DEFAULT_LIBVIRT_DIR)
		.option("--libvirt-config-dir <dir>", "... of all that are defined", DEFAULT_LIBVIRT_CONFIG_DIR)
		.option("--overlay-dir <dir>", "what operators and vendors add, *.yaml", DEFAULT_OVERLAY_DIR);
}

function exitCodeOfUsage({ exitCode }: CommanderError): number {
	return exitCode === 0 ? 0 : EXIT.usage;
}

// Whoever reads us may stop early: `novacompat matrix ... | head`.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
	if (error.code === "EPIPE") process.exit();
	process.stderr.write(`novacompat: standard output: ${error.message}\n`);
	process.exit(EXIT.usage);
});

// What nobody takes is lost; Node.js would end with 1, which is a verdict.
process.stderr.on("error", () => undefined);

try {
	await program.parseAsync();
} catch (error) {
	process.exitCode =
		error instanceof CommanderError ? exitCodeOfUsage(error) : (await import("./faults.ts")).exitCodeOfFault(error);
}
