//! Reverse names in the DNS: an address → a question, a resolver's answer → its names (RFC 1035 PTR, RFC 3596).
//!
//! ```text
//! 0 id u16 | 2 flags u16: QR 1, opcode 4, AA 1, TC 1, RD 1, RA 1, Z 3, RCODE 4 | 4 questions | 6 answers | 8, 10 others
//! 12 the question: name, type 12, class 1 | then answers: name, type, class, ttl u32, length u16, data
//! ```
//!
//! A name is labels of a length and as many bytes, ended by 0 or by a pointer (two bits set) to an earlier place.
//! Deviation seen: answers come under the name a CNAME leads to (RFC 2317), so a PTR of any owner is taken.

use std::{fmt::Write as _, net::IpAddr};

const HEADER_LEN: usize = 12;
const TYPE_PTR: u16 = 12;
const CLASS_IN: u16 = 1;
const RESPONSE: u16 = 0x8000;
const TRUNCATED: u16 = 0x0200;
const RECURSION_DESIRED: u16 = 0x0100;
const RCODE: u16 = 0x000f;
/// Labels and pointers of one name; more is a loop or nonsense.
const STEPS_MAX: usize = 255;
/// Bytes of a name, as RFC 1035 limits them.
const NAME_MAX: usize = 255;

/// What a resolver answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// These names, lower case, without the final dot; none where there is no such record. Bytes that are no letters,
    /// digits or usual signs are escaped as `\` and three digits.
    Names(Vec<String>),
    /// The address has no name at all (NXDOMAIN).
    NoName,
    /// The resolver will not or cannot tell: its response code.
    Refused(u8),
}

/// Why a packet is no answer to a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DnsError {
    /// It ends too early, or a name in it does not end.
    #[error("the answer is malformed")]
    Malformed,
    /// It is no response, or to another question.
    #[error("the answer is to another question")]
    NotOurs,
    /// It did not fit into a packet.
    #[error("the answer is cut off")]
    Truncated,
}

/// The question for the names of an address.
pub fn question(id: u16, ip: IpAddr) -> Vec<u8> {
    let mut packet = Vec::with_capacity(96);
    for word in [id, RECURSION_DESIRED, 1, 0, 0, 0] {
        packet.extend(word.to_be_bytes());
    }
    packet.extend(encoded_name(ip));
    packet.extend(TYPE_PTR.to_be_bytes());
    packet.extend(CLASS_IN.to_be_bytes());
    packet
}

/// Reads the answer to the question with this ID for this address.
///
/// # Errors
/// The packet is malformed, cut off, or answers something else.
pub fn answer(packet: &[u8], id: u16, ip: IpAddr) -> Result<Answer, DnsError> {
    let mut reader = Reader { packet, at: 0 };
    let (told_id, flags) = (reader.u16()?, reader.u16()?);
    let (questions, answers) = (reader.u16()?, reader.u16()?);
    reader.at = HEADER_LEN;
    if told_id != id || flags & RESPONSE == 0 {
        return Err(DnsError::NotOurs);
    }
    if questions == 1 {
        let asked = reader.name()?;
        let is_ours = asked.eq_ignore_ascii_case(&text_of(&encoded_name(ip))?);
        if !is_ours || (reader.u16()?, reader.u16()?) != (TYPE_PTR, CLASS_IN) {
            return Err(DnsError::NotOurs);
        }
    } else if questions != 0 {
        return Err(DnsError::NotOurs);
    }
    match (flags & RCODE).to_be_bytes() {
        [_, 0] => {}
        [_, 3] => return Ok(Answer::NoName),
        [_, code] => return Ok(Answer::Refused(code)),
    }
    if flags & TRUNCATED != 0 {
        return Err(DnsError::Truncated);
    }
    let mut names = Vec::new();
    for _ in 0..answers {
        reader.name()?;
        let (kind, class) = (reader.u16()?, reader.u16()?);
        reader.skip(4)?;
        let length = usize::from(reader.u16()?);
        if (kind, class) == (TYPE_PTR, CLASS_IN) {
            names.push(Reader { packet, at: reader.at }.name()?);
        }
        reader.skip(length)?;
    }
    names.retain(|name| !name.is_empty());
    Ok(Answer::Names(names))
}

/// The address's reverse name as labels: `d.c.b.a.in-addr.arpa` or 32 nibbles under `ip6.arpa`.
fn encoded_name(ip: IpAddr) -> Vec<u8> {
    let (labels, zone): (Vec<String>, &str) = match ip.to_canonical() {
        IpAddr::V4(ip) => (ip.octets().iter().rev().map(u8::to_string).collect(), "in-addr"),
        IpAddr::V6(ip) => {
            let nibbles = ip.octets().into_iter().rev().flat_map(|byte| [byte & 15, byte >> 4]);
            (nibbles.map(|nibble| format!("{nibble:x}")).collect(), "ip6")
        }
    };
    let mut name = Vec::new();
    for label in labels.iter().map(String::as_str).chain([zone, "arpa"]) {
        // Every label is short: at most `in-addr`.
        name.push(u8::try_from(label.len()).unwrap_or_default());
        name.extend(label.as_bytes());
    }
    name.push(0);
    name
}

fn text_of(name: &[u8]) -> Result<String, DnsError> {
    Reader { packet: name, at: 0 }.name()
}

/// A place in a packet.
struct Reader<'a> {
    packet: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn u8(&mut self) -> Result<u8, DnsError> {
        let byte = self.packet.get(self.at).copied().ok_or(DnsError::Malformed)?;
        self.at += 1;
        Ok(byte)
    }

    fn u16(&mut self) -> Result<u16, DnsError> {
        Ok(u16::from_be_bytes([self.u8()?, self.u8()?]))
    }

    fn skip(&mut self, length: usize) -> Result<(), DnsError> {
        self.at =
            self.at.checked_add(length).filter(|at| *at <= self.packet.len()).ok_or(DnsError::Malformed)?;
        Ok(())
    }

    /// Reads a name and stands behind it; pointers are followed without moving.
    fn name(&mut self) -> Result<String, DnsError> {
        let (mut text, mut bytes) = (String::new(), 0);
        let mut behind = None;
        for _ in 0..STEPS_MAX {
            match self.u8()? {
                0 => {
                    self.at = behind.unwrap_or(self.at);
                    return Ok(text);
                }
                pointer if pointer & 0xc0 == 0xc0 => {
                    let low = self.u8()?;
                    behind.get_or_insert(self.at);
                    self.at = usize::from(u16::from_be_bytes([pointer & 0x3f, low]));
                }
                length if length & 0xc0 == 0 => {
                    bytes += usize::from(length) + 1;
                    if bytes > NAME_MAX {
                        return Err(DnsError::Malformed);
                    }
                    if !text.is_empty() {
                        text.push('.');
                    }
                    for _ in 0..length {
                        push(&mut text, self.u8()?);
                    }
                }
                _ => return Err(DnsError::Malformed),
            }
        }
        Err(DnsError::Malformed)
    }
}

/// Adds a byte of a label, escaped unless it is of those that host names and their kin are made of.
fn push(text: &mut String, byte: u8) {
    if byte.is_ascii_alphanumeric() || b"-_/+".contains(&byte) {
        text.push(char::from(byte.to_ascii_lowercase()));
    } else {
        // Writing to a String cannot fail.
        _ = write!(text, "\\{byte:03}");
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// The question turned into a response with these flags, and records of (type, data) that point at its name.
    fn response(id: u16, ip: IpAddr, flags: u16, records: &[(u16, Vec<u8>)]) -> Vec<u8> {
        let mut packet = question(id, ip);
        packet[2..4].copy_from_slice(&(RESPONSE | flags).to_be_bytes());
        packet[6..8].copy_from_slice(&u16::try_from(records.len()).unwrap().to_be_bytes());
        for (kind, data) in records {
            packet.extend([0xc0, 12]);
            packet.extend(kind.to_be_bytes());
            packet.extend(CLASS_IN.to_be_bytes());
            packet.extend(300_u32.to_be_bytes());
            packet.extend(u16::try_from(data.len()).unwrap().to_be_bytes());
            packet.extend(data);
        }
        packet
    }

    #[test]
    fn a_question_byte_by_byte() {
        let expected = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x014\x013\x012\x011\x07in-addr\x04arpa\x00\x00\x0c\x00\x01";
        assert_eq!(question(0x1234, ip("1.2.3.4")), expected);
        assert_eq!(question(0x1234, ip("::ffff:1.2.3.4")), expected);
        let six = text_of(&encoded_name(ip("2001:db8::1"))).unwrap();
        assert!(six.starts_with("1.0.0.0.") && six.ends_with(".8.b.d.0.1.0.0.2.ip6.arpa"), "{six}");
        assert_eq!(six.split('.').count(), 34);
    }

    #[test]
    fn names_are_read_through_pointers_and_other_records_passed_over() {
        let target = b"\x06Host-1\x07eXample\x03net\x00".to_vec();
        // The second shares the end of the first: `example` stands 7 bytes into the first record's data.
        let records = [(5, b"\x03cut\x00".to_vec()), (TYPE_PTR, target)];
        let packet = response(7, ip("1.2.3.4"), 0, &records);
        let at = packet.windows(8).position(|window| window == b"\x07eXample").unwrap();
        let mut packet = packet;
        packet[6..8].copy_from_slice(&3_u16.to_be_bytes());
        packet.extend([0xc0, 12, 0, 12, 0, 1, 0, 0, 0, 9, 0, 4, 1, b'b', 0xc0, u8::try_from(at).unwrap()]);
        let names = vec!["host-1.example.net".to_owned(), "b.example.net".to_owned()];
        assert_eq!(answer(&packet, 7, ip("1.2.3.4")), Ok(Answer::Names(names)));
    }

    #[test]
    fn refusals_are_told_apart() {
        let of = |flags| answer(&response(7, ip("1.2.3.4"), flags, &[]), 7, ip("1.2.3.4"));
        assert_eq!(of(0), Ok(Answer::Names(Vec::new())));
        assert_eq!(of(3), Ok(Answer::NoName));
        assert_eq!(of(2), Ok(Answer::Refused(2)));
        assert_eq!(of(TRUNCATED), Err(DnsError::Truncated));
    }

    #[test]
    fn an_answer_to_another_question_is_not_ours() {
        let packet = response(7, ip("1.2.3.4"), 0, &[]);
        assert_eq!(answer(&packet, 8, ip("1.2.3.4")), Err(DnsError::NotOurs));
        assert_eq!(answer(&packet, 7, ip("1.2.3.5")), Err(DnsError::NotOurs));
        assert_eq!(answer(&question(7, ip("1.2.3.4")), 7, ip("1.2.3.4")), Err(DnsError::NotOurs));
    }

    #[test]
    fn pointers_that_turn_in_circles_end() {
        let packet = response(7, ip("1.2.3.4"), 0, &[(TYPE_PTR, vec![0xc0, 12 + 22 + 4 + 12])]);
        let mut circle = packet.clone();
        let at = circle.len() - 2;
        circle[at..].copy_from_slice(&(0xc000 | u16::try_from(at).unwrap()).to_be_bytes());
        assert_eq!(answer(&circle, 7, ip("1.2.3.4")), Err(DnsError::Malformed));
    }

    #[test]
    fn strange_bytes_are_escaped() {
        let packet = response(7, ip("1.2.3.4"), 0, &[(TYPE_PTR, b"\x04a.\x07\xff\x03net\x00".to_vec())]);
        assert_eq!(
            answer(&packet, 7, ip("1.2.3.4")),
            Ok(Answer::Names(vec!["a\\046\\007\\255.net".to_owned()]))
        );
    }

    proptest! {
        #[test]
        fn no_bytes_break_it(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            answer(&bytes, 7, ip("1.2.3.4")).ok();
            let mut ours = response(7, ip("1.2.3.4"), 0, &[]);
            ours[7] = 5;
            ours.extend(bytes);
            if let Ok(Answer::Names(names)) = answer(&ours, 7, ip("1.2.3.4")) {
                prop_assert!(names.iter().all(|name| name.len() <= 4 * NAME_MAX && !name.contains(char::is_control)));
            }
        }

        #[test]
        fn every_cut_of_an_answer_is_an_error(cut in 0..80_usize) {
            let packet = response(7, ip("1.2.3.4"), 0, &[(TYPE_PTR, b"\x04host\x07example\x03net\x00".to_vec())]);
            prop_assume!(cut < packet.len());
            prop_assert!(answer(&packet[..cut], 7, ip("1.2.3.4")).is_err());
        }
    }
}
