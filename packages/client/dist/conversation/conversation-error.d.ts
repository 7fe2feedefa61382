/** The device has no keys of this conversation. */
export declare class NotInGroupError extends Error {
    readonly name = "NotInGroupError";
}
/** Every attempt lost its epoch to a commit of another member. */
export declare class TooManyEpochRacesError extends Error {
    readonly name = "TooManyEpochRacesError";
}
/** Commits are missing, or one cannot be applied: the device has to join the group anew. */
export declare class LostGroupError extends Error {
    readonly name = "LostGroupError";
    readonly convoId: string;
    constructor(convoId: string);
}
/** These people have published no key package, so nobody can add them. */
export declare class NoKeyPackageError extends Error {
    readonly name = "NoKeyPackageError";
    readonly dids: readonly string[];
    constructor(dids: readonly string[]);
}
