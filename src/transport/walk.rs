//! Reading ASN.1 as DER encodes it, one element after the other.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode, Reader, SliceReader, Tag, TagNumber, Tagged};

/// Something is not what it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Broken;

/// Through the elements within one.
pub(super) struct Walk<'a>(SliceReader<'a>);

impl<'a> Walk<'a> {
    /// Into the one element, a sequence, that all these bytes are.
    pub(super) fn sequence(der: &'a [u8]) -> Result<Walk<'a>, Broken> {
        let element = AnyRef::from_der(der).map_err(|_| Broken)?;
        Walk::within(element, Tag::Sequence)
    }

    /// Into this element.
    pub(super) fn within(element: AnyRef<'a>, tag: Tag) -> Result<Walk<'a>, Broken> {
        if element.tag() != tag {
            return Err(Broken);
        }
        SliceReader::new(element.value()).map(Walk).map_err(|_| Broken)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_finished()
    }

    /// Nothing more is here.
    pub(super) fn end(self) -> Result<(), Broken> {
        self.0.finish().map_err(|_| Broken)
    }

    /// The next element.
    pub(super) fn any(&mut self) -> Result<AnyRef<'a>, Broken> {
        AnyRef::decode(&mut self.0).map_err(|_| Broken)
    }

    /// The next element, if there is one.
    pub(super) fn optional(&mut self) -> Result<Option<AnyRef<'a>>, Broken> {
        match self.is_at_end() {
            true => Ok(None),
            false => self.any().map(Some),
        }
    }

    /// Into the next element.
    pub(super) fn enter(&mut self, tag: Tag) -> Result<Walk<'a>, Broken> {
        Walk::within(self.any()?, tag)
    }

    /// What is in the next element, which has this tag.
    pub(super) fn value(&mut self, tag: Tag) -> Result<&'a [u8], Broken> {
        let element = self.any()?;
        if element.tag() != tag {
            return Err(Broken);
        }
        Ok(element.value())
    }

    /// The bytes of the next element, its tag and length included.
    pub(super) fn whole(&mut self, tag: Tag) -> Result<&'a [u8], Broken> {
        match Tag::peek(&self.0) {
            Ok(found) if found == tag => self.0.tlv_bytes().map_err(|_| Broken),
            _ => Err(Broken),
        }
    }

    #[cfg(feature = "encrypted-keys")]
    /// The next element, a number that is not negative.
    pub(super) fn number(&mut self) -> Result<u64, Broken> {
        self.any()?.decode_as().map_err(|_| Broken)
    }

    pub(super) fn oid(&mut self) -> Result<ObjectIdentifier, Broken> {
        let bytes = self.value(Tag::ObjectIdentifier)?;
        ObjectIdentifier::from_bytes(bytes).map_err(|_| Broken)
    }

    #[cfg(feature = "encrypted-keys")]
    /// Past the number that may stand here and then is this one.
    pub(super) fn fits_number(&mut self, expected: usize) -> Result<(), Broken> {
        if self.is_at_end() || Tag::peek(&self.0) != Ok(Tag::Integer) {
            return Ok(());
        }
        let fits = self.number()? == expected as u64;
        if fits { Ok(()) } else { Err(Broken) }
    }

    /// `AlgorithmIdentifier`: its name and its parameters.
    pub(super) fn algorithm(&mut self) -> Result<(ObjectIdentifier, Option<AnyRef<'a>>), Broken> {
        let mut algorithm = self.enter(Tag::Sequence)?;
        let found = (algorithm.oid()?, algorithm.optional()?);
        algorithm.end()?;
        Ok(found)
    }
}

/// The tag of a field that has a number instead of a type.
pub(super) fn numbered(number: u32, constructed: bool) -> Tag {
    Tag::ContextSpecific {
        constructed,
        number: TagNumber(number),
    }
}

pub(super) const fn oid(text: &str) -> ObjectIdentifier {
    ObjectIdentifier::new_unwrap(text)
}
