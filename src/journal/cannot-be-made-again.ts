/** Why a decision of a journal cannot be made again, and where it stands: `file:line`. In a file without imports: the agent knows the name, too. */
export class CannotBeMadeAgain extends Error {
	override readonly name = "CannotBeMadeAgain";

	constructor(place: string, why: string) {
		super(`${place}: the decision cannot be made again: ${why}`);
	}
}
