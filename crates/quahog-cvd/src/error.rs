//! Why a container or a patch was refused: who is to blame, by which rule, and where.
//!
//! [`Error`] has one variant for each *actor* an operator would turn to: the
//! transport (`Truncated`, `Corrupt`), the publisher or an attacker
//! (`Untrusted`, `Header`), the configuration (`Limit`). Inside is a [`Fault`]:
//! the [`Rule`] that was broken and, where it applies, the member and the byte.
//! [`Error::code`] is stable; messages are not.

use std::fmt;

/// Why a container or a patch was refused.
#[non_exhaustive]
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Error {
    /// The payload is damaged, or is not what its `.info` says it is.
    #[error("corrupt: {0}")]
    Corrupt(Fault),
    /// The file name or the first 512 bytes are not those of a container.
    #[error("bad header: {0}")]
    Header(Fault),
    /// A bound of [`Limits`](crate::Limits) was met.
    #[error("limit met: {0}")]
    Limit(Fault),
    /// The bytes end too early.
    #[error("truncated: {0}")]
    Truncated(Fault),
    /// No key of the trust store stands behind these bytes.
    #[error("untrusted: {0}")]
    Untrusted(Fault),
}

impl Error {
    /// An error of the variant that `rule` belongs to.
    pub(crate) fn new(rule: Rule) -> Error {
        let fault = Fault { rule, member: None, offset: None };
        match rule.actor() {
            Actor::Corrupt => Error::Corrupt(fault),
            Actor::Header => Error::Header(fault),
            Actor::Limit => Error::Limit(fault),
            Actor::Truncated => Error::Truncated(fault),
            Actor::Untrusted => Error::Untrusted(fault),
        }
    }

    /// Says where.
    pub(crate) fn at(mut self, offset: Offset) -> Error {
        self.fault_mut().offset = Some(offset);
        self
    }

    /// Says in which member. Only names that passed the name rule come here, so
    /// that a message never carries bytes of an attacker's choice.
    pub(crate) fn member(mut self, name: &str) -> Error {
        self.fault_mut().member = Some(name.into());
        self
    }

    /// The rule that was broken, and where.
    pub fn fault(&self) -> &Fault {
        match self {
            Error::Corrupt(fault)
            | Error::Header(fault)
            | Error::Limit(fault)
            | Error::Truncated(fault)
            | Error::Untrusted(fault) => fault,
        }
    }

    /// The rule that was broken.
    pub fn rule(&self) -> Rule {
        self.fault().rule
    }

    /// A stable name for machines, such as `tar-checksum`.
    pub fn code(&self) -> &'static str {
        self.rule().code()
    }

    fn fault_mut(&mut self) -> &mut Fault {
        match self {
            Error::Corrupt(fault)
            | Error::Header(fault)
            | Error::Limit(fault)
            | Error::Truncated(fault)
            | Error::Untrusted(fault) => fault,
        }
    }
}

/// A broken rule and its place.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    rule: Rule,
    member: Option<Box<str>>,
    offset: Option<Offset>,
}

impl Fault {
    /// The rule that was broken.
    pub fn rule(&self) -> Rule {
        self.rule
    }

    /// The member concerned.
    pub fn member(&self) -> Option<&str> {
        self.member.as_deref()
    }

    /// The byte concerned.
    pub fn offset(&self) -> Option<Offset> {
        self.offset
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.rule)?;
        match (&self.member, self.offset) {
            (None, None) => Ok(()),
            (Some(member), None) => write!(f, " (member `{member}`)"),
            (None, Some(offset)) => write!(f, " ({offset})"),
            (Some(member), Some(offset)) => write!(f, " (member `{member}`, {offset})"),
        }
    }
}

/// A byte, counted from the start of what it lies in.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Offset {
    /// In the file itself.
    File(u64),
    /// In the text of the `.info` member.
    Info(u64),
    /// In the script of a patch, after decompression.
    Script(u64),
    /// In the payload after decompression.
    Unpacked(u64),
}

impl fmt::Display for Offset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Offset::File(at) => write!(f, "byte {at}"),
            Offset::Info(at) => write!(f, "byte {at} of the .info text"),
            Offset::Script(at) => write!(f, "byte {at} of the script"),
            Offset::Unpacked(at) => write!(f, "byte {at} of the unpacked payload"),
        }
    }
}

/// Whom a rule blames; decides the variant of [`Error`].
#[derive(Clone, Copy)]
enum Actor {
    Corrupt,
    Header,
    Limit,
    Truncated,
    Untrusted,
}

/// One table instead of an enum, a `Display`, a `code` and a blame that could
/// drift apart. The text is the documentation, too.
macro_rules! rules {
    ($($actor:ident $name:ident $code:literal $text:literal;)*) => {
        /// A rule that containers and patches must obey.
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Rule {
            $(#[doc = concat!("`", $code, "`: ", $text)] $name,)*
        }

        impl Rule {
            /// A stable name for machines.
            pub fn code(self) -> &'static str {
                match self { $(Rule::$name => $code,)* }
            }

            fn actor(self) -> Actor {
                match self { $(Rule::$name => Actor::$actor,)* }
            }

            #[cfg(test)]
            const ALL: &[Rule] = &[$(Rule::$name,)*];
        }

        impl fmt::Display for Rule {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Rule::$name => $text,)* })
            }
        }
    };
}

rules! {
    Header Suffix "suffix" "the file name ends in none of .cvd, .cld, .cud";
    Header Magic "magic" "the file does not begin with `ClamAV-VDB:`";
    Header FieldCount "field-count" "a header has exactly nine fields";
    Header EmptyField "empty-field" "a header field is empty";
    Header Unprintable "unprintable" "a header field holds a byte outside printable ASCII";
    Header Number "number" "not a plain decimal number";
    Header Range "range" "the number is too large";
    Header Md5Form "md5-form" "the MD5 field is neither `X` nor 32 lower-case hex digits";
    Header DsigForm "dsig-form" "the signature field is neither `X` nor 1 to 171 signature digits";
    Header Padding "padding" "the header is padded with something else than spaces";
    Header Future "future" "built more than 24 hours from now";

    Truncated HeaderLength "header-length" "the header has 512 bytes";
    Truncated NoPayload "no-payload" "nothing follows the header";
    Truncated GzipEnd "gzip-end" "the gzip stream has no end";
    Truncated TarBlock "tar-block" "the archive ends inside a header block";
    Truncated TarData "tar-data" "the archive ends inside a member";
    Truncated TarPadding "tar-padding" "the archive ends inside the padding of a member";
    Truncated CdiffLength "cdiff-length" "a patch has at least 350 bytes";

    Corrupt PayloadForm "payload-form" "the payload is neither gzip nor a tar that begins with COPYING";
    Corrupt PayloadMd5 "payload-md5" "the payload has another MD5 than the header says";
    Corrupt GzipHeader "gzip-header" "not a gzip header of RFC 1952";
    Corrupt GzipData "gzip-data" "the compressed data are damaged";
    Corrupt GzipChecksum "gzip-checksum" "the CRC-32 of the gzip stream is wrong";
    Corrupt GzipLength "gzip-length" "the length at the end of the gzip stream is wrong";
    Corrupt AfterGzip "after-gzip" "something follows the one gzip member";
    Corrupt TarChecksum "tar-checksum" "the checksum of the tar header is wrong";
    Corrupt TarName "tar-name" "not a member name: 1 to 99 of `A-Za-z0-9_.-`, no dot in front";
    Corrupt TarSize "tar-size" "the member size is not an octal number";
    Corrupt TarType "tar-type" "the member is not a plain file";
    Corrupt TarFiller "tar-filler" "bytes that must be zero are not";
    Corrupt AfterEnd "after-end" "something follows the end of the archive";
    Corrupt DuplicateMember "duplicate-member" "two members have the same name";
    Corrupt NestedMember "nested-member" "a member of this kind may not stand in a container";
    Corrupt NoCopying "no-copying" "a signed container holds a COPYING";
    Corrupt NoInfo "no-info" "there is no .info member";
    Corrupt ManyInfos "many-infos" "there is more than one .info member";
    Corrupt InfoHeadline "info-headline" "the first .info line is not `ClamAV-VDB:` with `X:X`";
    Corrupt InfoLine "info-line" "not an .info line of the form `name:size:sha256`";
    Corrupt InfoEnd "info-end" "the last .info line has no line feed";
    Corrupt InfoEmpty "info-empty" "the .info lists no member";
    Corrupt InfoDuplicate "info-duplicate" "the .info lists a member twice";
    Corrupt InfoAfterDsig "info-after-dsig" "something follows the DSIG line of the .info";
    Corrupt Unlisted "unlisted" "the .info does not list this member";
    Corrupt Missing "missing" "a member that the .info lists is not there";
    Corrupt MemberSize "member-size" "the .info lists another size for this member";
    Corrupt MemberHash "member-hash" "the .info lists another SHA-256 for this member";
    Corrupt CdiffFrame "cdiff-frame" "not a patch: no `ClamAV-Diff:` in front or no signature at the end";

    Corrupt CdiffNumber "cdiff-number" "version or size of the patch is not a plain decimal number";
    Corrupt CdiffSize "cdiff-size" "the script has another size than the patch says";
    Corrupt CdiffEmpty "cdiff-empty" "the patch is empty: the publisher wants the whole database to be fetched";
    Corrupt ScriptCommand "script-command" "not a command of a script";
    Corrupt ScriptName "script-name" "not the name of a member that a script may change";
    Corrupt ScriptNumber "script-number" "not a line number: a plain decimal, from 1";
    Corrupt ScriptGuard "script-guard" "the edit does not say how the old line begins";
    Corrupt ScriptReturn "script-return" "a script holds a carriage return";
    Corrupt ScriptOrder "script-order" "the command stands where a file is open and must not be, or the other way round";
    Corrupt ScriptOpen "script-open" "the script ends while a file is open";
    Corrupt ScriptEnd "script-end" "the last line of the script has no line feed";
    Corrupt ScriptTwice "script-twice" "two edits of one line";
    Corrupt ScriptRange "script-range" "the range of lines does not end after it begins";
    Corrupt ScriptFirst "script-first" "the script does not begin with the .info of its database";
    Corrupt PatchFile "patch-file" "the file to be patched is not there";
    Corrupt PatchLine "patch-line" "the file to be patched has no such line";
    Corrupt PatchGuard "patch-guard" "the line to be patched begins otherwise";
    Corrupt PatchEnd "patch-end" "the last line of the file to be patched has no line feed";

    Corrupt Certificate "certificate" "not a text of PEM blocks that are certificates with RSA keys";
    Corrupt SignForm "sign-form" "not a signature file: `#clamsign-1.0`, then lines `MIN:[MAX]:pkcs7-pem:BASE64`";
    Corrupt SignLevel "sign-level" "no line of the signature file is for this functionality level";
    Corrupt SignDer "sign-der" "not a detached CMS signature by one signer";

    Untrusted SignAlgorithm "sign-algorithm" "the signature uses an algorithm that is not relied upon";
    Untrusted SignChain "sign-chain" "no trusted certificate stands behind the signer";
    Untrusted SignDigest "sign-digest" "the signature file is for other bytes";
    Untrusted SignMissing "sign-missing" "there is no signature file, and one is required";
    Untrusted SignSignature "sign-signature" "the signature does not hold";
    Untrusted SignSigner "sign-signer" "the certificate of the signer is not there, or may not sign databases";
    Untrusted SignTime "sign-time" "a certificate is outside of its validity";
    Untrusted OfficialName "official-name" "a source may not sign a database of the official publisher";
    Untrusted CdiffDatabase "cdiff-database" "the patch is for another database";
    Untrusted CdiffUnsigned "cdiff-unsigned" "the patch carries no signature";
    Untrusted CdiffSigner "cdiff-signer" "the patch is signed by somebody else than the database";
    Untrusted CdiffVersion "cdiff-version" "the patch does not lead from this version to the next";
    Untrusted UnsignedBase "unsigned-base" "an unsigned database cannot be patched: nothing would say whether the result is right";
    Untrusted HeaderUnsigned "header-unsigned" "the header of a .cvd carries no MD5 or no signature";
    Untrusted HeaderSignature "header-signature" "no trusted key signed the MD5 in the header";
    Untrusted HeaderMismatch "header-mismatch" "the header and the signed .info do not agree";
    Untrusted InfoName "info-name" "the .info member is not named after the file";
    Untrusted InfoUnsigned "info-unsigned" "the .info carries no DSIG line";
    Untrusted InfoSignature "info-signature" "no trusted key signed the .info";
    Untrusted SignedCud "signed-cud" "a .cud carries no signature: was it renamed";
    Untrusted CdiffSignature "cdiff-signature" "no trusted key signed the patch";

    Limit FileBytes "file-bytes" "the file is too large";
    Limit UnpackedBytes "unpacked-bytes" "the payload unpacks to too many bytes";
    Limit Ratio "ratio" "the payload unpacks to too many times its size";
    Limit SignBytes "sign-bytes" "the signature file is too large";
    Limit ScriptBytes "script-bytes" "the script of the patch is too large";
    Limit PatchWork "patch-work" "the script rewrites the same files too often";
    Limit Members "members" "there are too many members";
    Limit MemberBytes "member-bytes" "the member is too large";
    Limit InfoBytes "info-bytes" "the .info member is too large";
    Limit CopyingBytes "copying-bytes" "the COPYING member is too large";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_distinct_and_messages_keep_the_house_style() {
        let mut codes = std::collections::HashSet::new();
        for rule in Rule::ALL {
            assert!(codes.insert(rule.code()), "{} twice", rule.code());
            let text = rule.to_string();
            assert!(!text.ends_with('.'), "{text}");
            assert!(Error::new(*rule).to_string().starts_with(|c: char| c.is_ascii_lowercase()));
        }
    }

    #[test]
    fn a_message_names_member_and_byte() {
        let error = Error::new(Rule::TarChecksum).member("a.ndb").at(Offset::Unpacked(512));
        assert_eq!(
            error.to_string(),
            "corrupt: the checksum of the tar header is wrong \
             (member `a.ndb`, byte 512 of the unpacked payload)"
        );
    }
}
