//! Why a reply is no proposal.
//!
//! Pure: no IO, no clock.

macro_rules! rejections {
    ($($(#[doc = $doc:literal])+ $name:ident = $says:literal;)+) => {
        /// Why a reply is no proposal: the first rule that it breaks.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
        pub enum Rejection {
            $($(#[doc = $doc])+ #[error($says)] $name,)+
        }

        impl Rejection {
            /// Every reason.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as a CamelCase word, for counters and statuses.
            pub const fn reason(&self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)+ }
            }
        }
    };
}

rejections! {
    /// Nothing was said.
    Empty = "the reply is empty";
    /// Longer than any reply that follows the rules.
    TooLong = "the reply is too long";
    /// The object stands in a code fence.
    Fenced = "the reply stands in a code fence";
    /// The model refuses to answer, or says that the answer is not safe.
    Refused = "the model refuses to answer";
    /// Prose in place of an object, or before it.
    Prose = "the reply is prose";
    /// JSON, but no object.
    NotAnObject = "the reply is no JSON object";
    /// Ends before the object does.
    Truncated = "the reply ends in the middle";
    /// No JSON.
    Malformed = "the reply is no valid JSON";
    /// Something follows the object.
    TrailingText = "something follows the reply's object";
    /// A key stands twice.
    DuplicateKey = "a key of the reply stands twice";
    /// A key that was not asked for.
    UnknownKey = "the reply has a key that was not asked for";
    /// A key that was asked for is not there.
    MissingKey = "a key of the reply is missing";
    /// An object or a list where none may be.
    Nested = "a value of the reply is nested";
    /// A value of another type.
    WrongType = "a value of the reply has the wrong type";
    /// The target is none of those that were offered.
    UnknownTarget = "the reply's target was not offered";
    /// The action is none of the policy's that were offered.
    UnknownAction = "the reply's action was not offered";
    /// The failure mode is none that is known.
    UnknownFailureMode = "the reply's failure mode is not known";
    /// No evidence is cited.
    NoEvidence = "the reply cites no evidence";
    /// More evidence is cited than may be.
    TooMuchEvidence = "the reply cites too much evidence";
    /// A piece is cited that is not in the case.
    UnknownEvidence = "the reply cites evidence that does not exist";
    /// A piece is cited twice.
    RepeatedEvidence = "the reply cites the same evidence twice";
    /// The confidence is no number from 0 to 1.
    ConfidenceOutOfRange = "the reply's confidence is not from 0 to 1";
    /// A text says nothing.
    EmptyText = "a text of the reply is empty";
    /// A text is longer than it may be.
    TextTooLong = "a text of the reply is too long";
    /// A text has line breaks, control characters, or characters that cannot be seen or turn others round.
    HiddenCharacters = "a text of the reply has control characters or hidden ones";
    /// A text is not in English.
    OtherLanguage = "a text of the reply is not in English";
    /// A text has links, code, markup or another object in it.
    Markup = "a text of the reply has markup, code or a link in it";
    /// A text asks for further actions, or to skip a safeguard.
    AsksForMore = "a text of the reply asks for more than the one action";
}
