/** What is no recording; the message says where, as `file:line`. In a file without imports: the agent knows the name, too. */
export class InvalidRecording extends Error {
	override readonly name = "InvalidRecording";
}
