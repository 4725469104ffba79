import { release } from "node:os";
import { resolve } from "node:path";
import { VF_LINK } from "./collectors/sriov.ts";
import { isLeft, type Output, type Remnant, runCommand } from "./command.ts";
import { openSysfs, type Sysfs } from "./sysfs.ts";

/** Where the programs are on every distribution that Nova supports; absolute, because there is no PATH. */
const PROGRAMS = { devlink: "/usr/sbin/devlink", vdpa: "/usr/sbin/vdpa", "nvidia-smi": "/usr/bin/nvidia-smi" } as const;

type Programs = Readonly<Record<keyof typeof PROGRAMS, string>>;

interface Question {
	readonly program: keyof Programs;
	readonly args: readonly string[];
	/** Whether the host has devices that the answer would be about; a path below the sysfs root that then exists. */
	readonly wanted: readonly string[];
}

/** Everything that is asked of a program: it reads, it writes nothing, and no part of it comes from outside. */
const QUESTIONS = {
	"devlink port show": {
		program: "devlink",
		args: ["-j", "port", "show"],
		wanted: ["bus/pci/drivers/mlx5_vfio_pci"],
	},
	"devlink dev info": {
		program: "devlink",
		args: ["-j", "dev", "info"],
		wanted: ["bus/pci/drivers/mlx5_vfio_pci", "bus/pci/drivers/pds_vfio_pci"],
	},
	"vdpa mgmtdev show": { program: "vdpa", args: ["-j", "mgmtdev", "show"], wanted: ["bus/vdpa/devices"] },
	"vdpa dev show": { program: "vdpa", args: ["-j", "dev", "show"], wanted: ["bus/vdpa/devices"] },
	"vdpa dev config show": { program: "vdpa", args: ["-j", "dev", "config", "show"], wanted: ["bus/vdpa/devices"] },
	"nvidia-smi": {
		program: "nvidia-smi",
		args: ["--query-gpu=pci.bus_id,ecc.mode.current,mig.mode.current", "--format=csv,noheader"],
		wanted: ["bus/pci/drivers/nvidia"],
	},
} as const satisfies Record<string, Question>;

/** With more VFs than these, what devlink prints about all ports, some 310 bytes of each, is more than a command may print. */
const MAX_VFS_AT_ONCE = 3_000;
/** Programs that are started for one question, at most. */
const MAX_PFS = 64;

/** A question that can be asked about all PFs at once, or about one. */
type DevlinkQuestion = "devlink port show" | "devlink dev info";

export type QuestionName = keyof typeof QUESTIONS | `${DevlinkQuestion} pci/${string}` | `nvidia-smi --id=${string}`;

/** What the host says beside sysfs. A tree that is not this machine's says nothing: an empty object. */
export interface Told {
	/** As `uname -r` prints it. */
	readonly kernel_release?: string;
	/** What a program said to each question that was asked. */
	readonly answers?: Answers;
	/** Those that could not be ended: give them to the next `askHost`. */
	readonly remnants?: readonly ProgramRemnant[];
}

/** A program that hangs in the kernel. */
export interface ProgramRemnant extends Remnant {
	/** Its path. */
	readonly program: string;
}

/**
 * Asks the programs of this machine about the devices that it has, all at once: the answer takes 5 seconds at most, and as long again
 * where a GPU is lost.
 * A sysfs tree elsewhere is another machine's, of which they know nothing. A program of `remnants` is not started beside itself: its
 * answers are `ETIMEDOUT` until it has ended, or each scan would leave one more.
 */
export async function askHost(
	sysfsRoot: string,
	programs = programsFor(sysfsRoot),
	remnants: readonly ProgramRemnant[] = [],
): Promise<Told> {
	if (programs === undefined) return {};
	const left = remnants.filter(isLeft);
	const hanging = new Set(left.map(({ program }) => program));
	const sysfs = openSysfs(sysfsRoot);
	const names = (Object.keys(QUESTIONS) as (keyof typeof QUESTIONS)[])
		.filter((name) => isWanted(QUESTIONS[name], sysfs))
		.flatMap((name) => (isDevlinkQuestion(name) ? askedAbout(name, sysfs) : [name]));
	const ask = async (name: QuestionName): Promise<readonly [QuestionName, Output]> => {
		const { program, args } = questionOf(name);
		return [name, hanging.has(programs[program]) ? { errno: "ETIMEDOUT" } : await runCommand(programs[program], args)];
	};
	const answers = Object.fromEntries(await Promise.all(names.map(ask)));
	const again = Object.fromEntries(await Promise.all(gpusToAskAlone(answers, sysfs).map(ask)));
	const all: Answers = { ...answers, ...again };
	return { kernel_release: release(), answers: all, remnants: [...left, ...remnantsIn(all, programs)] };
}

type Answers = Readonly<Partial<Record<QuestionName, Output>>>;

function remnantsIn(answers: Answers, programs: Programs): readonly ProgramRemnant[] {
	return (Object.entries(answers) as [QuestionName, Output][]).flatMap(([name, output]) =>
		"errno" in output && output.remnant ? [{ program: programs[questionOf(name).program], ...output.remnant }] : [],
	);
}

/** One that has fallen off the bus ends what nvidia-smi says of all; the guests of the others shall leave such a host. */
function gpusToAskAlone(answers: Answers, sysfs: Sysfs): readonly QuestionName[] {
	const answer = answers["nvidia-smi"];
	if (answer === undefined || !("errno" in answer) || answer.errno !== "EIO") return [];
	const bound = sysfs.directory("bus/pci/drivers/nvidia");
	const gpus = (bound?.list() ?? []).filter(
		(address) => /^[0-9a-f]{4}:/.test(address) && bound?.directory(address)?.link("physfn") === undefined,
	);
	return gpus.length > 1 && gpus.length <= MAX_PFS ? gpus.map((address) => `nvidia-smi --id=${address}` as const) : [];
}

/**
 * A PF is asked about its firmware by itself: the kernel stops at a device that cannot tell, and the rest of its list is missing. Its ports
 * are where there are many, because Linux 6.6 and iproute2 6.6 are the first that can.
 */
function askedAbout(name: DevlinkQuestion, sysfs: Sysfs): readonly QuestionName[] {
	const pfs = ["mlx5_core", "pds_core"].flatMap((driver) => pfsOf(driver, sysfs));
	const vfs = pfs.reduce((sum, pf) => sum + pf.vfs, 0);
	const atOnce = name === "devlink port show" && vfs <= MAX_VFS_AT_ONCE;
	if (atOnce || pfs.length === 0 || pfs.length > MAX_PFS) return [name];
	return pfs.map((pf) => `${name} pci/${pf.address}` as const);
}

/** Those that have VFs. Counts links, which asks no driver: `sriov_numvfs` waits while VFs are being made. */
function pfsOf(driver: string, sysfs: Sysfs): readonly { readonly address: string; readonly vfs: number }[] {
	const bound = sysfs.directory(`bus/pci/drivers/${driver}`);
	return (bound?.list() ?? []).flatMap((address) => {
		const vfs = (bound?.directory(address)?.list() ?? []).filter((link) => VF_LINK.test(link)).length;
		return vfs > 0 ? [{ address, vfs }] : [];
	});
}

/** Who was asked about a PF: it by itself, or all at once. */
export function questionAbout({ answers }: Told, name: DevlinkQuestion | "nvidia-smi", pf: string): QuestionName {
	const own = name === "nvidia-smi" ? (`${name} --id=${pf}` as const) : (`${name} pci/${pf}` as const);
	return answers?.[own] === undefined ? name : own;
}

function questionOf(name: QuestionName): Omit<Question, "wanted"> {
	const [, all, one] = /^(.*) ((?:pci\/|--id=).*)$/.exec(name) ?? [];
	const { program, args }: Question = QUESTIONS[(all ?? name) as keyof typeof QUESTIONS];
	if (one === undefined) return { program, args };
	return { program, args: program === "nvidia-smi" ? [one, ...args] : [...args, one] };
}

function isDevlinkQuestion(name: QuestionName): name is DevlinkQuestion {
	return name === "devlink port show" || name === "devlink dev info";
}

function programsFor(sysfsRoot: string): Programs | undefined {
	return resolve(sysfsRoot) === "/sys" ? PROGRAMS : undefined;
}

/** The command of a question, as `sources` of a snapshot have it. */
export function commandOf(name: QuestionName): string {
	const { program, args } = questionOf(name);
	return [PROGRAMS[program], ...args].join(" ");
}

/**
 * A driver that has no device, and a bus without one, ask for nothing. A driver has `bind`, `new_id` and the like beside the
 * addresses of its devices; in a list of devices is nothing else, and on the vdpa bus they have any name.
 */
function isWanted({ wanted }: Question, sysfs: Sysfs): boolean {
	return wanted.some((path) => {
		const names = sysfs.directory(path)?.list() ?? [];
		return path.endsWith("/devices") ? names.length > 0 : names.some((name) => /[0-9]/.test(name));
	});
}

type JsonObject = Readonly<Record<string, unknown>>;

/**
 * The answer of `devlink -j` and `vdpa -j`: `{"port": {"pci/0000:06:00.0/2": {...}}}`, the objects below `key` by handle.
 * `EBADMSG` is an answer of another form; undefined, that the question was not asked.
 */
export function handlesOf(
	{ answers }: Told,
	name: QuestionName,
	key: string,
): ReadonlyMap<string, JsonObject> | { readonly errno: string } | undefined {
	const answer = answers?.[name];
	if (answer === undefined || "errno" in answer) return answer;
	const handles = objectOf(objectOf(parsed(answer.text))?.[key]);
	if (handles === undefined) return { errno: "EBADMSG" };
	return new Map(Object.entries(handles).map(([handle, value]) => [handle, objectOf(value) ?? {}]));
}

export function objectOf(value: unknown): JsonObject | undefined {
	return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
}

/** A value of such an answer as text: a list of words has commas between them. */
export function textOf(value: unknown): string | undefined {
	if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") return String(value);
	return Array.isArray(value) && value.every((item) => typeof item === "string") ? value.join(",") : undefined;
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}
