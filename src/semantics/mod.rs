//! What SQL means in this engine, where DataFusion's own meaning is not sound.
//!
//! Pushdown is exact when a source means the same as the engine, so the engine must mean something that one can rely
//! on. [`configure`] and [`install`] set a session up so that
//!
//! * integer and decimal arithmetic and `sum` that overflow are errors, and so is division by zero (`arithmetic`,
//!   `sum`);
//! * a cast that loses digits rounds (`casts`), and makes another expression of what it is applied to (`alike`), and a date takes intervals of whole days only (`dates`);
//! * `numeric` without digits keeps those that are there (`exact`), and texts become dates and times as in PostgreSQL (`written`);
//! * conditions that differ from time to time choose among the rows of their join (`chance`);
//! * `avg`, variances and standard deviations of integers are computed from exact sums (`average`, `spread`), and `avg` beside `sum`
//!   of the same values from that sum (`quotient`);
//! * `x = ANY (array)` is unknown where a NULL may be it (`arrays`), and regular expressions replace and match as in PostgreSQL (`patterns`);
//! * WITH RECURSIVE is refused where its columns would lose digits (`recursion`);
//! * `lag` and its like have the type of their default too (`offsets`), and `corr` is that of each group (`correlation`);
//! * aggregates of floats over sliding frames subtract nothing (`sliding`, `frame`);
//! * `min` and `max` of floats take NaN for the largest (`extreme`);
//! * numbers with a point or an exponent are decimals, and become doubles beside a double (`numbers`);
//! * times and timestamps have six digits after the second where nothing else is said (`types`, `now`), and dates and
//!   texts beside timestamps become such (`temporal`), as do decimals beside doubles doubles (`numbers`);
//! * `AT TIME ZONE` makes local times of instants and the reverse (`zones`), and intervals are compared, sorted and grouped by their length
//!   (`intervals`, `lengths`) and multiplied (`multiples`, `fractions`), and `extract` gives their parts (`parts`);
//! * floats have one zero and one NaN, and NaN equals itself and sorts last (`floats`);
//! * NOT IN over a subquery knows NULL wherever it stands (`membership`), and subqueries that cannot be made joins soundly are
//!   refused (`subqueries`).
//!
//! Three functions have to be called on each statement before it is planned: [`refuse_ignored_syntax`], which refuses what
//! the planner would drop, [`respell`], and [`rewrite_literals`], for literals that the type the planner gives them would
//! not hold.
//!
//! What stays as DataFusion has it: floats divide by zero as IEEE 754 says (`1e0::double / 0` is infinite); a decimal
//! quotient has four digits more than the dividend; `avg` of integers is a double, `avg` of decimals has four digits more; text compares by its UTF-8 bytes,
//! which is the order of code points.

mod alike;
mod arithmetic;
mod array_order;
mod arrays;
mod average;
mod casts;
mod chance;
mod concat;
mod correlation;
mod dates;
mod error;
mod exact;
mod extreme;
mod floats;
mod fractions;
mod frame;
mod functions_of_from;
mod grouping;
mod intervals;
mod lazy;
mod lengths;
mod literals;
mod membership;
mod multiples;
mod now;
mod numbers;
mod offsets;
mod operators;
mod parts;
mod patterns;
mod quotient;
mod records;
mod recursion;
mod refuse;
mod rewrite;
mod rows;
mod shadows;
mod sliding;
mod spellings;
mod spread;
mod subqueries;
mod sum;
mod temporal;
#[cfg(test)]
mod tests;
mod text;
mod together;
mod types;
mod untyped;
mod windows;
mod written;
mod zones;

use std::sync::Arc;

use datafusion::execution::{SessionStateBuilder, SessionStateDefaults};
use datafusion::optimizer::{Analyzer, AnalyzerRule};
use datafusion::prelude::SessionConfig;

pub use error::ArithmeticError;
pub use literals::rewrite_literals;
pub use operators::as_written;
pub(crate) use quotient::{Share, quotient, share};
pub use refuse::{Refusal, refuse_ignored_syntax};
pub(crate) use rewrite::has_subqueries;
pub use spellings::respell;

/// Sets the options that decide what SQL means.
pub fn configure(config: SessionConfig) -> SessionConfig {
    config.set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
}

/// Adds functions and analyzer rules. Functions that the builder does not have yet are DataFusion's; so
/// `with_default_features` has to come before, if at all. Other analyzer rules are kept and run between these.
pub fn install(mut builder: SessionStateBuilder) -> SessionStateBuilder {
    let scalars = builder.scalar_functions().get_or_insert_with(SessionStateDefaults::default_scalar_functions);
    scalars.extend(arithmetic::functions());
    scalars.push(floats::function());
    scalars.extend(dates::functions());
    scalars.push(intervals::function());
    scalars.extend(lengths::functions());
    scalars.push(multiples::function());
    scalars.extend(fractions::functions());
    scalars.push(zones::function());
    scalars.push(text::function());
    scalars.push(parts::function());
    scalars.extend(arrays::functions());
    scalars.push(array_order::function());
    scalars.extend(patterns::functions());
    scalars.extend(casts::functions());
    scalars.extend(exact::functions());
    scalars.extend(written::functions());
    scalars.extend(concat::functions());
    // Of two functions with one name the later one wins.
    scalars.push(now::function());
    let aggregates =
        builder.aggregate_functions().get_or_insert_with(SessionStateDefaults::default_aggregate_functions);
    aggregates.push(sum::function());
    aggregates.push(correlation::function());
    let planners = builder.expr_planners().get_or_insert_with(SessionStateDefaults::default_expr_planners);
    planners.insert(0, Arc::new(temporal::TimestampsAsTheyAre));
    planners.insert(1, Arc::new(multiples::MultiplesOfIntervals));
    planners.insert(2, Arc::new(parts::PartsOfTimes));
    planners.insert(0, Arc::new(untyped::UntypedLiterals));
    let analyzer = builder.analyzer().get_or_insert_with(Analyzer::new);
    // Before types are coerced: what coercion would get wrong. After: what needs to know the coerced types.
    let before: [Arc<dyn AnalyzerRule + Send + Sync>; 6] = [
        Arc::new(subqueries::SoundSubqueries),
        Arc::new(membership::SoundMembership),
        Arc::new(offsets::SoundOffsets),
        Arc::new(recursion::SoundRecursion),
        Arc::new(numbers::DoublesBesideDecimals),
        Arc::new(temporal::TimestampsAsTheyAre),
    ];
    analyzer.rules.splice(0..0, before);
    analyzer.rules.push(Arc::new(operators::SoundOperators));
    analyzer.rules.push(Arc::new(lengths::IntervalsByLength));
    builder.with_type_planner(Arc::new(types::TimeTypes))
}
