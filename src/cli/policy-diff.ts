import type { Decision } from "../compat/decision.ts";
import type { Policy } from "../compat/policy.ts";
import type { JournalEntry } from "../journal/reader.ts";
import { localTime } from "../log/time.ts";
import { loadPolicy } from "../policy/policy.ts";
import { type Basis, checkAgain } from "../precheck.ts";
import { counted } from "./counting.ts";
import { POLICY_DIFF_EXIT } from "./exit-codes.ts";
import { Damage } from "./journal/damage.ts";
import { readJournals } from "./journal/journals.ts";
import { DECISION_COLUMNS, decisionCells, type OutputOptions, print } from "./output.ts";
import { leadReason, paint, type RenderOptions, terminalColour } from "./render/decision.ts";
import { table } from "./render/table.ts";

export interface PolicyDiffOptions extends OutputOptions {
	readonly journal: readonly string[];
}

/** A decision that is another one under the new policy. */
interface Flip {
	readonly entry: JournalEntry;
	readonly before: Decision;
	readonly after: Decision;
}

/** `novacompat policy diff`: makes every decision of a journal under two policies, and lists those that flip. */
export function policyDiff(oldFile: string, newFile: string, options: PolicyDiffOptions): number {
	const [older, newer] = [policyAt(oldFile), policyAt(newFile)];
	const flips: Flip[] = [];
	const damage = new Damage();
	let [count, unchecked] = [0, 0];
	for (const entry of readJournals(options.journal, "--journal", damage.line)) {
		if (entry.unchecked) {
			unchecked++;
			continue;
		}
		const basis = damage.basisOf(entry);
		if (!basis) continue;
		count++;
		const [before, after] = [older, newer].map((policy) => decided(entry, { ...basis, policy: policy(entry.time) }));
		const isFlip = before?.verdict !== after?.verdict || before?.allowed !== after?.allowed;
		if (before && after && isFlip) flips.push({ entry, before, after });
	}
	const { problems } = damage;
	const text = () => render(flips, { count, unchecked, problems }, terminalColour(process.stdout));
	print({ kind: "list", data: flips, text, columns: COLUMNS, rows: flips.map(cellsOf) }, options);
	return flips.length + problems.length === 0 ? POLICY_DIFF_EXIT.same : POLICY_DIFF_EXIT.flips;
}

/** The policy of a file as it would have been at a time: overrides are in force, or not. */
function policyAt(file: string): (time: string) => Policy {
	let now = 0;
	const policy = loadPolicy(
		file,
		() => undefined,
		() => now,
	);
	return (time) => {
		now = Date.parse(time);
		return policy();
	};
}

function decided({ request }: JournalEntry, basis: Basis): Decision {
	const { snapshots, ...decision } = checkAgain(request, basis);
	return decision;
}

function render(
	flips: readonly Flip[],
	told: { readonly count: number; readonly unchecked: number; readonly problems: readonly string[] },
	{ colour }: RenderOptions,
): string {
	const header = ["TIME", "ID", "INSTANCE", "FROM", "TO", "OLD", "NEW", "REASON NOW"];
	const rows = flips.map(({ entry: { time, request, decision }, before, after }) => [
		localTime(Date.parse(time)),
		decision.id,
		request.instance_uuid,
		request.source_host,
		request.dest_host,
		verdictOf(before),
		verdictOf(after),
		leadReason(after.reasons),
	]);
	const lines = table([header, ...rows], "", (cell, row, column) => {
		const flip = flips[row - 1];
		if (flip && header[column] === "OLD") return paint(flip.before.verdict, cell, colour);
		return flip && header[column] === "NEW" ? paint(flip.after.verdict, cell, colour) : cell;
	});
	const shown = flips.length === 0 ? "" : `${lines.join("\n")}\n\n`;
	const { count, unchecked, problems } = told;
	const more = unchecked > 0 ? [`${counted(unchecked, "more was", "more were")} made without a check`] : [];
	return `${shown}${[`${flips.length} of ${count} decisions flip`, ...more, ...problems].join("; ")}.\n`;
}

const COLUMNS = ["time", "instance", "from", "to", "was", ...DECISION_COLUMNS];

function cellsOf({ entry: { time, request }, before, after }: Flip) {
	const { instance_uuid, source_host, dest_host } = request;
	return [time, instance_uuid, source_host, dest_host, verdictOf(before), ...decisionCells(after)];
}

/** Of an unknown one it is the policy that says whether the migration may go on. */
function verdictOf({ verdict, allowed }: Decision): string {
	return verdict === "unknown" && allowed ? "unknown, allowed" : verdict;
}
