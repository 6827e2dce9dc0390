//! `casehook_case`: a case as a plain struct that can grow.

use std::ffi::c_char;
use std::mem::{MaybeUninit, offset_of};
use std::ptr;

use casehook_rs::{Case, Error, ErrorKind, limits};

use crate::failure::Failure;
use crate::input;

/// One comment of a case. This struct never grows.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct casehook_comment {
    /// The program's id of the comment, under which it is sent once; NULL or "" for none.
    pub id: *const c_char,
    /// The text.
    pub text: *const c_char,
}

/// A case as the program hands it in. Start it with CASEHOOK_CASE_INIT, which sets `size` and leaves the rest empty: later
/// versions add members at the end, and know by `size` which ones are there. The texts are only read during the call.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct casehook_case {
    /// sizeof(casehook_case).
    pub size: usize,
    /// The title. It may be empty, but not NULL.
    pub title: *const c_char,
    /// The program's own id of the case, or NULL: later pushes under it update the same incident.
    pub id: *const c_char,
    /// The description, or NULL.
    pub description: *const c_char,
    /// The severity in the program's words, or NULL.
    pub severity: *const c_char,
    /// The status in the program's words, or NULL.
    pub status: *const c_char,
    /// The incident to update, where the program knows it; or NULL.
    pub external_id: *const c_char,
    /// The program's own fields as a JSON object, for {{{case.fields.NAME}}}; or NULL.
    pub fields_json: *const c_char,
    /// `tag_count` tags; NULL when there are none.
    pub tags: *const *const c_char,
    /// How many tags there are.
    pub tag_count: usize,
    /// `comment_count` comments, oldest first; NULL when there are none.
    pub comments: *const casehook_comment,
    /// How many comments there are.
    pub comment_count: usize,
    /// A W3C trace context that goes along with each request of this push, as in the header `traceparent`; or NULL.
    pub traceparent: *const c_char,
}

/// The first version ended before this member; a smaller struct was never made, and this number stays.
const SMALLEST: usize = offset_of!(casehook_case, traceparent);
/// No version to come is larger; a size beyond it was never set.
const LARGEST: usize = 4096;

/// The case that the struct describes.
///
/// # Safety
/// `case` is NULL or begins with its size and has that many bytes; what it points to is as the header says.
pub(crate) unsafe fn read(case: *const casehook_case) -> Result<Case, Failure> {
    // SAFETY: as the caller promises.
    let raw = unsafe { known_part(case) }?;
    // SAFETY: every pointer of the struct is NULL or as the header says, as the caller promises.
    unsafe {
        let mut case = Case::new(input::required_text(raw.title, "case.title")?);
        let owned = |text, name| {
            let text = input::optional_text(text, name)?;
            Ok::<_, Failure>(text.map(str::to_owned))
        };
        case.id = owned(raw.id, "case.id")?;
        case.description = owned(raw.description, "case.description")?;
        case.severity = owned(raw.severity, "case.severity")?;
        case.status = owned(raw.status, "case.status")?;
        case.external_id = owned(raw.external_id, "case.external_id")?.filter(|id| !id.is_empty());
        if let Some(json) = input::optional_text(raw.fields_json, "case.fields_json")? {
            case.fields = serde_json::from_str(json).map_err(|error| {
                let message = format!("this must be a JSON object: {error}");
                Failure::new(ErrorKind::Case, message).at("case.fields_json")
            })?;
        }
        at_most("case.tag_count", raw.tag_count, limits::TAGS)?;
        for (place, tag) in input::array(raw.tags, raw.tag_count, "case.tags")?
            .iter()
            .enumerate()
        {
            let tag = input::required_text(*tag, &format!("case.tags[{place}]"))?;
            case.tags.push(tag.to_owned());
        }
        at_most("case.comment_count", raw.comment_count, limits::COMMENTS)?;
        let comments = input::array(raw.comments, raw.comment_count, "case.comments")?;
        for (place, comment) in comments.iter().enumerate() {
            let id = input::optional_text(comment.id, &format!("case.comments[{place}].id"))?;
            let text = input::required_text(comment.text, &format!("case.comments[{place}].text"))?;
            case = case.comment(id.unwrap_or_default(), text);
        }
        case.traceparent = owned(raw.traceparent, "case.traceparent")?;
        Ok(case)
    }
}

/// What the library refused of a case that came as a struct, named by the members and not by the JSON that it never was.
pub(crate) fn refused(error: Error) -> Failure {
    let failure = Failure::from(error);
    let Some(field) = failure
        .field
        .as_deref()
        .filter(|_| failure.kind == ErrorKind::Case)
    else {
        return failure;
    };
    let member = match field.strip_prefix("incident.") {
        Some(member) if member.starts_with("fields") => member.replacen("fields", "fields_json", 1),
        Some(member) => member.to_owned(),
        None if matches!(field, "params" | "incident") => return failure.at("case"),
        None if field == "traceparent" => field.to_owned(),
        None => return failure,
    };
    failure.at(format!("case.{member}"))
}

/// The members that this version knows. Those that the program's version did not have are zero, and so must be those that
/// only a later one has.
///
/// # Safety
/// `case` is NULL or begins with its size and has that many bytes.
unsafe fn known_part(case: *const casehook_case) -> Result<casehook_case, Failure> {
    if case.is_null() {
        return Err(Failure::null("case"));
    }
    if !case.is_aligned() {
        return Err(Failure::argument(
            "case",
            "this does not point at a casehook_case",
        ));
    }
    // SAFETY: not NULL, aligned, and begins with its size, as the caller promises.
    let size = unsafe { (&raw const (*case).size).read() };
    if !(SMALLEST..=LARGEST).contains(&size) || !size.is_multiple_of(align_of::<casehook_case>()) {
        let message =
            format!("this is {size}; start the struct with CASEHOOK_CASE_INIT or set sizeof(casehook_case)");
        return Err(Failure::argument("case.size", message));
    }
    // SAFETY: the struct has `size` bytes, as the caller promises, and they may hold anything as bytes.
    let bytes = unsafe { std::slice::from_raw_parts(case.cast::<u8>(), size) };
    let (known, later) = bytes.split_at(size.min(size_of::<casehook_case>()));
    if later.iter().any(|byte| *byte != 0) {
        let message = format!(
            "the program sets members that casehook {} does not know; use the library that its header came with",
            env!("CARGO_PKG_VERSION")
        );
        return Err(Failure::argument("case.size", message));
    }
    let mut whole = MaybeUninit::<casehook_case>::zeroed();
    // SAFETY: no more bytes than there is place for, the places differ, and any bytes make pointers and numbers.
    unsafe {
        ptr::copy_nonoverlapping(known.as_ptr(), whole.as_mut_ptr().cast(), known.len());
        Ok(whole.assume_init())
    }
}

fn at_most(name: &str, count: usize, limit: usize) -> Result<(), Failure> {
    if count <= limit {
        return Ok(());
    }
    let message = format!("this is {count}; the limit is {limit}");
    Err(Failure::new(ErrorKind::Case, message).at(name))
}
