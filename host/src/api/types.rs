//! Types whose JSON or schema poem-openapi would get wrong.

use chrono::{DateTime, SecondsFormat, Utc};
use poem_openapi::{
    registry::{MetaSchema, MetaSchemaRef, Registry},
    types::{ParseError, ParseFromJSON, ParseFromParameter, ParseResult, ToJSON, Type},
};
use serde_json::Value;
use std::borrow::Cow;

/// An instant, written in UTC with a `Z` (a `+00:00` is the same to a parser, and not to a
/// person or a `grep`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Timestamp(pub(crate) DateTime<Utc>);

/// A value that may be missing and says so with `null`, where leaving the field out would hide
/// that there is something to know.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Nullable<T>(pub(crate) Option<T>);

/// A field of a change. Missing: stays as it is. `null`: emptied. A value: set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Clearable<T> {
    Keep,
    Clear,
    Set(T),
}

impl<T> Clearable<T> {
    /// The field after the change.
    pub(crate) fn over(self, before: Option<T>) -> Option<T> {
        self.change().unwrap_or(before)
    }

    /// `None` when the field stays, else its new state.
    #[expect(clippy::option_option, reason = "staying and being emptied are two things")]
    pub(crate) fn change(self) -> Option<Option<T>> {
        match self {
            Clearable::Keep => None,
            Clearable::Clear => Some(None),
            Clearable::Set(value) => Some(Some(value)),
        }
    }

    fn value(&self) -> Option<&T> {
        match self {
            Clearable::Set(value) => Some(value),
            Clearable::Keep | Clearable::Clear => None,
        }
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Timestamp(at)
    }
}

impl Type for Timestamp {
    const IS_REQUIRED: bool = true;

    type RawValueType = Self;
    type RawElementValueType = Self;

    fn name() -> Cow<'static, str> {
        "string_date-time".into()
    }

    fn schema_ref() -> MetaSchemaRef {
        MetaSchemaRef::Inline(Box::new(MetaSchema::new_with_format("string", "date-time")))
    }

    fn as_raw_value(&self) -> Option<&Self> {
        Some(self)
    }

    fn raw_element_iter<'a>(&'a self) -> Box<dyn Iterator<Item = &'a Self> + 'a> {
        Box::new(std::iter::once(self))
    }
}

impl ParseFromJSON for Timestamp {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        let value = value.unwrap_or_default();
        let parsed = value.as_str().map(str::parse).transpose().map_err(ParseError::custom)?;
        parsed.map(Timestamp).ok_or_else(|| ParseError::expected_type(value))
    }
}

impl ParseFromParameter for Timestamp {
    fn parse_from_parameter(value: &str) -> ParseResult<Self> {
        value.parse().map(Timestamp).map_err(ParseError::custom)
    }
}

impl ToJSON for Timestamp {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.to_rfc3339_opts(SecondsFormat::AutoSi, true).into())
    }
}

/// What `Nullable` and `Clearable` share: the schema of `T`, or null.
macro_rules! nullable_type {
    ($name:ident, required: $required:literal, $value:expr) => {
        impl<T: Type> Type for $name<T> {
            const IS_REQUIRED: bool = $required;

            type RawValueType = T::RawValueType;
            type RawElementValueType = T::RawElementValueType;

            fn name() -> Cow<'static, str> {
                format!(concat!(stringify!($name), "_{}"), T::name()).into()
            }

            fn schema_ref() -> MetaSchemaRef {
                T::schema_ref().merge(MetaSchema { nullable: true, ..MetaSchema::ANY })
            }

            fn register(registry: &mut Registry) {
                T::register(registry);
            }

            fn as_raw_value(&self) -> Option<&Self::RawValueType> {
                let value: fn(&Self) -> Option<&T> = $value;
                value(self)?.as_raw_value()
            }

            fn raw_element_iter<'a>(
                &'a self,
            ) -> Box<dyn Iterator<Item = &'a Self::RawElementValueType> + 'a> {
                let value: fn(&Self) -> Option<&T> = $value;
                match value(self) {
                    Some(value) => value.raw_element_iter(),
                    None => Box::new(std::iter::empty()),
                }
            }
        }
    };
}

nullable_type!(Nullable, required: true, |field| field.0.as_ref());
nullable_type!(Clearable, required: false, Clearable::value);

impl<T: ParseFromJSON> ParseFromJSON for Nullable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            None | Some(Value::Null) => Ok(Nullable(None)),
            Some(value) => T::parse_from_json(Some(value))
                .map(|value| Nullable(Some(value)))
                .map_err(ParseError::propagate),
        }
    }
}

impl<T: ParseFromJSON> ParseFromJSON for Clearable<T> {
    fn parse_from_json(value: Option<Value>) -> ParseResult<Self> {
        match value {
            None => Ok(Clearable::Keep),
            Some(Value::Null) => Ok(Clearable::Clear),
            Some(value) => {
                T::parse_from_json(Some(value)).map(Clearable::Set).map_err(ParseError::propagate)
            }
        }
    }
}

impl<T: ToJSON> ToJSON for Nullable<T> {
    fn to_json(&self) -> Option<Value> {
        Some(self.0.as_ref().and_then(ToJSON::to_json).unwrap_or(Value::Null))
    }
}

impl<T: ToJSON> ToJSON for Clearable<T> {
    fn to_json(&self) -> Option<Value> {
        match self {
            Clearable::Keep => None,
            Clearable::Clear => Some(Value::Null),
            Clearable::Set(value) => value.to_json(),
        }
    }
}

/// Both ways between two enums of equal names: the document's and the store's.
macro_rules! mirrored {
    ($ours:ty, $theirs:ty, $($name:ident),+ $(,)?) => {
        impl From<$ours> for $theirs {
            fn from(value: $ours) -> Self {
                match value {
                    $(<$ours>::$name => <$theirs>::$name,)+
                }
            }
        }

        impl From<$theirs> for $ours {
            fn from(value: $theirs) -> Self {
                match value {
                    $(<$theirs>::$name => <$ours>::$name,)+
                }
            }
        }
    };
}
pub(crate) use mirrored;
