import type { Overlaid, Overlay } from "../../agent/overlay.ts";
import { READ_RIGHTS } from "../../agent/rights.ts";
import { commandOf, type QuestionName, type Told } from "../../agent/tools.ts";
import type { DeviceKind } from "../../compat/device.ts";
import type { Policy } from "../../compat/policy.ts";
import type { Snapshot, SnapshotDevice } from "../../snapshot/snapshot.ts";
import { groupsOf, type Outlook, outlooksOf } from "./outlook.ts";

interface Unreadable {
	readonly errno: string;
	/** Path or command that it would come from; `<path>` and `<id>` are those of the device. */
	readonly source: string;
	readonly devices: readonly string[];
	readonly remedy: string;
}

interface OverlayEffect extends Pick<Overlay, "file" | "source" | "date"> {
	readonly devices: number;
	readonly attributes: readonly string[];
	/** What it would have given devices that have it already, and from whom they have it. */
	readonly ignored: readonly { readonly attribute: string; readonly from: string; readonly devices: number }[];
}

/** What `novacompat doctor` says; names are a contract. */
export interface Diagnosis {
	readonly host: string;
	readonly kernel_release: string | null;
	readonly devices: Readonly<Record<DeviceKind, number>>;
	/** What the agent would warn of in its log. */
	readonly warnings: readonly string[];
	/** Where running domains are looked for, and how many there are; null, there is no such directory. */
	readonly libvirt: { readonly directory: string; readonly domains: number | null };
	readonly outlooks: readonly Outlook[];
	readonly unreadable: readonly (Unreadable & { readonly attributes: readonly string[] })[];
	/** Nothing is compared by these. */
	readonly unreadable_facts: readonly (Unreadable & { readonly facts: readonly string[] })[];
	/** Devices that were left out, because they changed whenever they were read. */
	readonly dropped: NonNullable<Snapshot["dropped"]>;
	readonly programs: readonly {
		readonly command: string;
		readonly errno: string | null;
		readonly remedy: string | null;
	}[];
	/** That somebody has named; null, it is there, or nobody has. */
	readonly missing_overlay_dir: string | null;
	readonly overlays: readonly OverlayEffect[];
	/** Why it is not known what vfio's drivers say: that they cannot migrate a device, and the state of those that they can. */
	readonly debugfs: { readonly errno: string; readonly remedy: string } | null;
}

export interface Findings {
	readonly host: string;
	readonly told: Told;
	readonly warnings: Diagnosis["warnings"];
	readonly libvirt: Diagnosis["libvirt"];
	readonly missing_overlay_dir: Diagnosis["missing_overlay_dir"];
	readonly overlays: readonly Overlay[];
	readonly overlaid: Overlaid;
	readonly dropped: Diagnosis["dropped"];
	readonly debugfs: string | undefined;
	readonly policy: Policy;
}

const REMEDIES: Readonly<Record<string, string>> = {
	EACCES: READ_RIGHTS,
	EPERM: "root, and a kernel without lockdown",
	ENODEV: "an instance has a device that sysfs does not show: see dmesg",
	EIO: "the driver or program fails: see dmesg, or call it by hand",
	ETIMEDOUT: "the driver or program hangs: see dmesg, or call it by hand",
	EBADMSG: "a format that is not known: report it with the version of the program",
	EXDEV: "a link leads out of sysfs",
	EFBIG: "more than a file of sysfs may hold: report it with the version of the driver",
	EILSEQ: "no text in ASCII: report it with the version of the driver or program",
	EUCLEAN: "not the same on all tiles of the GPU: set it anew",
};

/** What somebody could do about it; a source of more than one word is a command. */
function remedyFor(errno: string, source: string): string {
	const [program, ...words] = source.split(" ");
	if (errno === "ENOENT" && words.length > 0) return `install ${program}`;
	if (errno === "EACCES" && words.length > 0) return `let the agent's user execute ${program}`;
	return REMEDIES[errno] ?? "see errno(3)";
}

/** All that can be said about a host whose devices were read. */
export function diagnose(findings: Findings): Diagnosis {
	const { host, told, warnings, libvirt, missing_overlay_dir, overlays, overlaid, dropped, debugfs, policy } = findings;
	const { devices, ignored } = overlaid;
	const count = (kind: DeviceKind) => devices.filter((device) => device.kind === kind).length;
	return {
		host,
		kernel_release: told.kernel_release ?? null,
		devices: { pci: count("pci"), mdev: count("mdev"), mdev_type: count("mdev_type"), vdpa: count("vdpa") },
		warnings,
		libvirt,
		outlooks: outlooksOf(devices, policy),
		unreadable: unreadableIn(devices, ({ unreadable, sources }) => [unreadable, sources]).map(
			({ names: attributes, ...rest }) => ({ attributes, ...rest }),
		),
		unreadable_facts: unreadableIn(devices, ({ unreadable_facts = {}, fact_sources }) => [
			unreadable_facts,
			fact_sources,
		]).map(({ names: facts, ...rest }) => ({ facts, ...rest })),
		dropped,
		programs: programsOf(told),
		missing_overlay_dir,
		overlays: overlays.map((overlay) => effectOf(overlay, devices, ignored)),
		debugfs: debugfs === undefined ? null : { errno: debugfs, remedy: remedyFor(debugfs, "") },
	};
}

type Texts = Readonly<Record<string, string>>;

/** `of`: what a device has that cannot be read, errno by name, and where it would come from. */
function unreadableIn(
	devices: readonly SnapshotDevice[],
	of: (device: SnapshotDevice) => readonly [errnos: Texts, sources: Texts | undefined],
): readonly (Unreadable & { readonly names: readonly string[] })[] {
	const found = devices.flatMap((device) => {
		const [errnos, sources = {}] = of(device);
		return Object.entries(errnos).map(([name, errno]) => ({
			id: device.id,
			name,
			errno,
			source: placeOf(device, name, sources[name]),
		}));
	});
	return groupsOf(found, ({ errno, source }) => [errno, source]).map((group) => {
		const [{ errno, source }] = group;
		return {
			names: [...new Set(group.map(({ name }) => name))],
			errno,
			source,
			devices: [...new Set(group.map(({ id }) => id))],
			remedy: remedyFor(errno, source),
		};
	});
}

/** The place of what is the device's own differs from device to device, and is found by its id. */
function placeOf({ id, path }: SnapshotDevice, name: string, source: string | undefined): string {
	if (source === undefined) return `${path === undefined ? "" : "<path>/"}${name}`;
	const isBelow = path !== undefined && source.startsWith(`${path}/`);
	return isBelow ? `<path>${source.slice(path.length)}` : source.replace(`/${id}/`, "/<id>/");
}

function programsOf({ answers = {} }: Told): Diagnosis["programs"] {
	return (Object.keys(answers) as QuestionName[]).map((name) => {
		const command = commandOf(name);
		const answer = answers[name];
		const errno = answer !== undefined && "errno" in answer ? answer.errno : null;
		return { command, errno, remedy: errno === null ? null : remedyFor(errno, command) };
	});
}

function effectOf(
	{ file, source, date }: Overlay,
	devices: readonly SnapshotDevice[],
	ignored: Overlaid["ignored"],
): OverlayEffect {
	const given = devices.map(({ overlaid = {} }) =>
		Object.entries(overlaid).flatMap(([attribute, mark]) => (mark.startsWith(`${file} `) ? [attribute] : [])),
	);
	const own = ignored.filter((one) => one.file === file);
	return {
		file,
		source,
		date,
		devices: given.filter((attributes) => attributes.length > 0).length,
		attributes: [...new Set(given.flat())].sort(),
		ignored: groupsOf(own, ({ attribute, from }) => [attribute, from]).map((group) => ({
			attribute: group[0].attribute,
			from: group[0].from,
			devices: group.length,
		})),
	};
}

/** What needs a look: 0 nothing, 1 something. That a host cannot be read at all is 2, and no diagnosis. */
export function warningsOf(diagnosis: Diagnosis): number {
	const { warnings, outlooks, unreadable, dropped, programs, overlays } = diagnosis;
	return (
		warnings.length +
		outlooks.filter(({ verdict }) => verdict === "reject" || verdict === "unknown").length +
		unreadable.length +
		dropped.length +
		programs.filter(({ errno }) => errno !== null).length +
		overlays.filter(({ ignored }) => ignored.length > 0).length
	);
}
