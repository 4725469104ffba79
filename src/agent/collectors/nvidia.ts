import type { Findings } from "../findings.ts";
import type { Reading } from "../reading.ts";
import type { Sysfs } from "../sysfs.ts";
import { commandOf, type QuestionName, questionAbout, type Told } from "../tools.ts";
import type { ClassCollector } from "./collector.ts";

const NAMES = ["ecc_mode", "mig_mode"] as const;

/**
 * NVIDIA vGPUs, as mdevs (types `nvidia-<N>`) and as VFs with vendor-specific VFIO (vGPU 17 and later on Ubuntu 24.04 and
 * RHEL 10), which have a directory `nvidia/`.
 *
 * - `vgpu_type`: `nvidia/current_vgpu_type`, a decimal id; 0 is none, and then there is no such attribute.
 * - `creatable_vgpu_types`: the ids of `nvidia/creatable_vgpu_types`, whose lines are `1428 : NVIDIA H200X-141C`. The list
 *   shrinks with what is allocated on the board: a type that it lacks cannot be created *now*.
 * - `vgpu_params`: parameters of the vGPU plugin, `nvidia/vgpu_params` of an mdev or a VF, `frame_rate_limiter=0,enable_uvm=1`
 *   in the order in which they were set; absent where none is.
 * - `ecc_mode`, `mig_mode` of the board, `enabled` or `disabled`, from nvidia-smi; absent where it says N/A. Where it cannot tell of all
 *   boards, each has an answer of its own.
 * - the fact `gsp_firmware`: version of the firmware that the board's GSP runs, or `disabled`, from the driver's file in /proc,
 *   of which nothing else is kept: it has the board's UUID. It comes with the driver, whose version is compared.
 *
 * Verified in NVIDIA's vgpu-device-manager and kubevirt-gpu-device-plugin (both lists of types, a header line may come first),
 * NVIDIA AI Enterprise's documentation (vgpu_params: commas or blanks between parameters, a blank for none), nvidia-smi(1)
 * (550: names of the query, N/A), the driver's README ("GSP Firmware": N/A is disabled) and nv-procfs.c of its open modules.
 * NVML's `hostSupportedVgpuRange` and `guestVgpuVersion` are in no file and in no output of nvidia-smi: an overlay gives them.
 */
export const nvidia: ClassCollector = ({ sysfs, proc, told }) => {
	const modes = new Map<QuestionName, Modes>();
	function modesFor(question: QuestionName): Modes {
		const read = modes.has(question) ? modes.get(question) : modesOf(told, question);
		modes.set(question, read);
		return read;
	}
	const known = new Map<string, Board>();
	function boardOf(parent: string): Board {
		const board = known.get(parent) ?? readBoard(parent, sysfs, proc);
		known.set(parent, board);
		return board;
	}
	function describeBoard(parent: string | undefined, found: Findings): void {
		if (parent === undefined) return;
		const { address: board, firmware } = boardOf(parent);
		found.fact("gsp_firmware", firmware, `/proc/${directoryOf(board)}/information`);
		const question = questionAbout(told, "nvidia-smi", board);
		const boards = modesFor(question);
		if (boards === undefined) return;
		const own = "errno" in boards ? NAMES.map(() => boards) : boards.get(board);
		for (const [index, name] of NAMES.entries()) found.record(name, own?.[index], commandOf(question));
	}
	return ({ kind, parent, found }, node) => {
		const own = node.list().includes("nvidia") ? node.directory("nvidia") : undefined;
		const isVf = kind === "pci" && found.attributes["vendor"] === "10de" && own !== undefined;
		const isMdev = found.attributes["mdev_type"]?.startsWith("nvidia-") === true;
		if (!isVf && !isMdev) return;
		if (isVf) {
			if (!says(own, "current_vgpu_type", "0")) found.read("vgpu_type", own, "current_vgpu_type", decimalId);
			found.read("creatable_vgpu_types", own, "creatable_vgpu_types", ids);
		}
		if (own !== undefined && !says(own, "vgpu_params", "")) found.read("vgpu_params", own, "vgpu_params", parameters);
		describeBoard(parent, found);
	};
};

/** What the driver knows as one GPU. */
interface Board {
	/** Of its PF. */
	readonly address: string;
	readonly firmware: Reading;
}

/** On boards with SR-IOV (Ampere and later) the parent of an mdev is a VF. */
function readBoard(parent: string, sysfs: Sysfs, proc: Sysfs | undefined): Board {
	const physfn = sysfs.directory(`bus/pci/devices/${parent}`)?.link("physfn");
	const address = physfn !== undefined && "value" in physfn ? physfn.value : parent;
	return { address, firmware: readFirmware(address, proc) };
}

const directoryOf = (board: string) => `driver/nvidia/gpus/${board}`;

/** A line `GPU Firmware: \t 580.65.06`, which older drivers do not have. */
function readFirmware(board: string, proc: Sysfs | undefined): Reading {
	const reading = proc?.directory(directoryOf(board))?.read("information");
	if (reading === undefined || "errno" in reading) return reading;
	const [, version] = /^(?:GPU|GSP) Firmware:[ \t]*(\S*)[ \t]*$/m.exec(reading.value) ?? [];
	if (version === undefined) return undefined;
	return { value: version === "N/A" ? "disabled" : version };
}

/** Whether a file can be read and has, blanks aside, just this text. */
function says(directory: Sysfs, file: string, text: string): boolean {
	const reading = directory.read(file);
	return reading !== undefined && "value" in reading && reading.value.trim() === text;
}

function parameters(text: string): string {
	return text
		.split(/[\s,]+/)
		.filter(Boolean)
		.join(",");
}

function decimalId(text: string): string | undefined {
	return /^\d{1,9}$/.test(text.trim()) ? text.trim() : undefined;
}

function ids(text: string): string {
	return text
		.split("\n")
		.flatMap((line) => /^\s*(\d{1,9})\s*:/.exec(line)?.[1] ?? [])
		.join(",");
}

/** What an answer says of each board; undefined where the question was not asked. */
type Modes = ReadonlyMap<string, readonly Reading[]> | { readonly errno: string } | undefined;

/** Lines of `00000000:41:00.0, Enabled, Disabled`; the domain has eight digits there and four in sysfs. */
function modesOf({ answers }: Told, question: QuestionName): Modes {
	const answer = answers?.[question];
	if (answer === undefined || "errno" in answer) return answer;
	const boards = new Map<string, readonly Reading[]>();
	for (const line of answer.text.split("\n").filter((one) => one.trim() !== "")) {
		const [address = "", ...modes] = line.split(",").map((field) => field.trim());
		const isAddress = /^[0-9A-F]{4,8}:[0-9A-F]{2}:[0-9A-F]{2}\.[0-7]$/i.test(address);
		if (!isAddress || modes.length !== NAMES.length) return { errno: "EBADMSG" };
		boards.set(address.toLowerCase().replace(/^0000(?=[0-9a-f]{4}:)/, ""), modes.map(mode));
	}
	return boards;
}

function mode(text: string): Reading {
	if (/^(Enabled|Disabled)$/.test(text)) return { value: text.toLowerCase() };
	return /^\[?(N\/A|Not Supported)\]?$/.test(text) ? undefined : { errno: "EBADMSG" };
}
