//! The relations of a tree of joins, and what holds between them.

use std::borrow::Cow;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::tree_node::TreeNode;
use datafusion::common::{Column, JoinType, NullEquality};
use datafusion::error::Result;
use datafusion::logical_expr::expr::BinaryExpr;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, ExprSchemable, Filter, Join, JoinConstraint, LogicalPlan, Operator};

use super::super::estimate::Estimated;
use super::super::fold::Place;

/// A set of relations, a bit for each.
pub(super) type Set = u64;

/// One relation.
pub(super) struct Member {
    pub(super) plan: LogicalPlan,
    pub(super) rows: Arc<Estimated>,
    pub(super) place: Place,
    pub(super) role: Role,
}

/// What a relation is in the tree.
pub(super) enum Role {
    /// Its columns are part of the result.
    Joined,
    /// Only whether a row has a partner in it matters, or has none.
    Semi {
        anti: bool,
        /// The relations whose columns have to be there.
        requires: Set,
        /// What is equal, there and in this relation.
        on: Vec<(Expr, Expr)>,
        filter: Option<Expr>,
    },
}

/// What holds of the rows of an inner join.
pub(super) enum Condition {
    /// Two expressions are equal.
    Equal(Expr, Expr),
    /// Something else.
    Other(Expr),
}

/// Relations and conditions.
pub(super) struct Graph {
    pub(super) members: Vec<Member>,
    /// Of which relation each column is.
    columns: Vec<(Column, usize)>,
    /// Columns that are equal to each other.
    classes: Vec<Vec<(usize, Expr)>>,
    /// Expressions that are equal.
    equal: Vec<((Set, Expr), (Set, Expr))>,
    /// Other conditions, and the relations that they name.
    others: Vec<(Set, Expr)>,
    /// Conditions that are computed when all else holds, since they may fail for other rows.
    last: Vec<Expr>,
}

/// An order of joins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Leaf(usize),
    Join(Arc<Tree>, Arc<Tree>),
}

impl Tree {
    pub(super) fn set(&self) -> Set {
        match self {
            Self::Leaf(at) => bit(*at),
            Self::Join(left, right) => left.set() | right.set(),
        }
    }
}

/// The set of one relation.
pub(super) fn bit(at: usize) -> Set {
    1 << at
}

fn within(part: Set, whole: Set) -> bool {
    part & !whole == 0
}

/// The conditions that a join of two sets is made by.
#[derive(Default)]
pub(super) struct Between<'a> {
    pub(super) on: Vec<(&'a Expr, &'a Expr)>,
    pub(super) others: Vec<Cow<'a, Expr>>,
}

impl Between<'_> {
    /// The equalities.
    pub(super) fn keys(&self) -> Vec<(Expr, Expr)> {
        self.on.iter().map(|(left, right)| ((*left).clone(), (*right).clone())).collect()
    }

    /// All else that holds.
    pub(super) fn filter(&self) -> Option<Expr> {
        conjunction(self.others.iter().map(|condition| condition.as_ref().clone()))
    }
}

impl Graph {
    /// Relations without conditions. Those that are not `joined` have no columns in the result.
    pub(super) fn new(members: Vec<Member>, joined: &[bool]) -> Self {
        let columns =
            members.iter().enumerate().zip(joined).filter(|(_, joined)| **joined).flat_map(|((at, member), _)| {
                member.plan.schema().columns().into_iter().map(move |column| (column, at))
            });
        let columns = columns.collect();
        Self { members, columns, classes: Vec::new(), equal: Vec::new(), others: Vec::new(), last: Vec::new() }
    }

    /// All relations.
    pub(super) fn all(&self) -> Set {
        (0..self.members.len()).map(bit).sum()
    }

    /// The relations whose columns expressions name, apart from those of one relation; `None` where one is of no relation.
    pub(super) fn mentioned(&self, exprs: &[&Expr], except: Option<usize>) -> Option<Set> {
        let own = except.and_then(|at| self.members.get(at)).map(|member| member.plan.schema());
        let mut set = 0;
        for column in exprs.iter().flat_map(|expr| expr.column_refs()) {
            match self.columns.iter().find(|(known, _)| known == column) {
                Some((_, at)) => set |= bit(*at),
                None if own.is_some_and(|own| own.has_column(column)) => {}
                None => return None,
            }
        }
        Some(set)
    }

    /// Adds a condition; `None` where it names a column of no relation, or where keys may fail to be computed for rows that
    /// another order lets meet.
    pub(super) fn add(&mut self, condition: Condition) -> Option<()> {
        if let Condition::Equal(left, right) = &condition
            && !(self.cannot_fail(left) && self.cannot_fail(right))
        {
            return None;
        }
        match condition {
            Condition::Equal(Expr::Column(left), Expr::Column(right)) if self.same_type(&left, &right) => {
                let (one, other) = (self.relation(&left)?, self.relation(&right)?);
                self.unite((one, Expr::Column(left)), (other, Expr::Column(right)));
            }
            Condition::Equal(left, right) => {
                let (one, other) = (self.mentioned(&[&left], None)?, self.mentioned(&[&right], None)?);
                match one & other == 0 && one != 0 && other != 0 {
                    true => self.equal.push(((one, left), (other, right))),
                    false => self.others.push((one | other, left.eq(right))),
                }
            }
            Condition::Other(condition) => match self.cannot_fail(&condition) {
                true => {
                    let set = self.mentioned(&[&condition], None)?;
                    self.others.push((set, condition));
                }
                false => self.last.push(condition),
            },
        }
        Some(())
    }

    /// Whether an expression has a value for every row, so that it may be computed for rows that another order never sees.
    pub(super) fn cannot_fail(&self, expr: &Expr) -> bool {
        // The closure never fails.
        let fails = expr.exists(|part| {
            Ok(match part {
                Expr::Column(_) | Expr::Literal(..) | Expr::Alias(_) | Expr::Not(_) | Expr::Like(_) => false,
                Expr::Between(_) | Expr::InList(_) | Expr::IsNull(_) | Expr::IsNotNull(_) => false,
                Expr::IsTrue(_) | Expr::IsFalse(_) | Expr::IsNotTrue(_) | Expr::IsNotFalse(_) => false,
                Expr::IsUnknown(_) | Expr::IsNotUnknown(_) => false,
                Expr::Cast(cast) => match &*cast.expr {
                    Expr::Column(column) => {
                        let from = self.type_of(column);
                        !from.is_some_and(|from| keeps_every_value(&from, cast.field.data_type()))
                    }
                    Expr::Literal(..) => false,
                    _ => true,
                },
                Expr::BinaryExpr(BinaryExpr { op, .. }) => !is_comparison(*op),
                _ => true,
            })
        });
        !fails.unwrap_or(true)
    }

    /// The type of a column of any of the relations.
    fn type_of(&self, column: &Column) -> Option<DataType> {
        let of = |member: &Member| {
            let schema = member.plan.schema();
            schema.has_column(column).then(|| Expr::Column(column.clone()).get_type(schema.as_ref()).ok()).flatten()
        };
        self.members.iter().find_map(of)
    }

    fn relation(&self, column: &Column) -> Option<usize> {
        self.columns.iter().find(|(known, _)| known == column).map(|(_, at)| *at)
    }

    /// Whether equality of two columns says the same in every chain of equalities.
    fn same_type(&self, left: &Column, right: &Column) -> bool {
        match (self.type_of(left), self.type_of(right)) {
            (Some(left), Some(right)) => left == right && !left.is_floating(),
            _ => false,
        }
    }

    fn unite(&mut self, left: (usize, Expr), right: (usize, Expr)) {
        let (mut class, others): (Vec<_>, Vec<_>) = std::mem::take(&mut self.classes)
            .into_iter()
            .partition(|class| class.contains(&left) || class.contains(&right));
        let mut united: Vec<(usize, Expr)> = class.drain(..).flatten().collect();
        for column in [left, right] {
            if !united.contains(&column) {
                united.push(column);
            }
        }
        self.classes = others;
        self.classes.push(united);
    }

    /// What joins two sets; `None` where they may not be joined.
    pub(super) fn between(&self, left: Set, right: Set) -> Option<Between<'_>> {
        // Two of them would be a set that no longer looks like one: rows, in place of a condition on rows.
        if self.semi(left).is_some() {
            return None;
        }
        if let Some(at) = self.semi(right) {
            let Role::Semi { requires, .. } = &self.members.get(at)?.role else { return None };
            return within(*requires, left).then(Between::default);
        }
        let mut between = Between::default();
        for class in &self.classes {
            let of = |set: Set| class.iter().find(|(at, _)| bit(*at) & set != 0);
            if let (Some((_, one)), Some((_, other))) = (of(left), of(right)) {
                between.on.push((one, other));
            }
        }
        for ((one_set, one), (other_set, other)) in &self.equal {
            if within(*one_set, left) && within(*other_set, right) {
                between.on.push((one, other));
            } else if within(*one_set, right) && within(*other_set, left) {
                between.on.push((other, one));
            } else if self.settles(*one_set | *other_set, left, right) {
                between.others.push(Cow::Owned(one.clone().eq(other.clone())));
            }
        }
        for (set, condition) in &self.others {
            if self.settles(*set, left, right) {
                between.others.push(Cow::Borrowed(condition));
            }
        }
        Some(between)
    }

    /// Whether a condition on a set of relations can be told by this join, and not before.
    fn settles(&self, set: Set, left: Set, right: Set) -> bool {
        within(set, left | right) && !within(set, left) && !within(set, right)
    }

    /// The relation of a set of one whose columns are not part of the result.
    pub(super) fn semi(&self, set: Set) -> Option<usize> {
        let at = set.trailing_zeros() as usize;
        let member = self.members.get(at)?;
        (set.count_ones() == 1 && matches!(member.role, Role::Semi { .. })).then_some(at)
    }

    /// The plan of an order.
    pub(super) fn plan(&self, tree: &Tree) -> Result<LogicalPlan> {
        let joined = self.part(tree)?;
        let constant = self.others.iter().filter(|(set, _)| *set == 0).map(|(_, condition)| condition);
        filtered(joined, constant.chain(&self.last).cloned())
    }

    fn part(&self, tree: &Tree) -> Result<LogicalPlan> {
        match tree {
            Tree::Leaf(at) => {
                let Some(member) = self.members.get(*at) else {
                    return datafusion::common::internal_err!("relation {at} of a join order is not there");
                };
                let own =
                    self.others.iter().filter(|(set, _)| *set == bit(*at)).map(|(_, condition)| condition.clone());
                filtered(member.plan.clone(), own.chain(self.equal_within(*at)))
            }
            Tree::Join(left, right) => {
                let (one, other) = (left.set(), right.set());
                let Some(between) = self.between(one, other) else {
                    return datafusion::common::internal_err!("a join order without its conditions");
                };
                let (join_type, on, filter) =
                    match self.semi(other).and_then(|at| self.members.get(at)).map(|member| &member.role) {
                        Some(Role::Semi { anti, on, filter, .. }) => {
                            let join_type = if *anti { JoinType::LeftAnti } else { JoinType::LeftSemi };
                            (join_type, on.clone(), filter.clone())
                        }
                        _ => (JoinType::Inner, between.keys(), between.filter()),
                    };
                let join = Join::try_new(
                    Arc::new(self.part(left)?),
                    Arc::new(self.part(right)?),
                    on,
                    filter,
                    join_type,
                    JoinConstraint::On,
                    NullEquality::NullEqualsNothing,
                    false,
                )?;
                Ok(LogicalPlan::Join(join))
            }
        }
    }

    /// Columns of one relation that are equal to each other.
    fn equal_within(&self, at: usize) -> impl Iterator<Item = Expr> {
        self.classes.iter().flat_map(move |class| {
            let mut own = class.iter().filter(move |(of, _)| *of == at).map(|(_, column)| column);
            let first = own.next();
            own.filter_map(move |other| Some(first?.clone().eq(other.clone())))
        })
    }
}

fn filtered(plan: LogicalPlan, conditions: impl Iterator<Item = Expr>) -> Result<LogicalPlan> {
    match conjunction(conditions) {
        Some(condition) => Ok(LogicalPlan::Filter(Filter::try_new(condition, Arc::new(plan))?)),
        None => Ok(plan),
    }
}

fn is_comparison(op: Operator) -> bool {
    use Operator::*;
    matches!(op, And | Or | Eq | NotEq | Lt | LtEq | Gt | GtEq | IsDistinctFrom | IsNotDistinctFrom)
}

/// Whether a type has every value of another.
fn keeps_every_value(from: &DataType, to: &DataType) -> bool {
    let texts = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let integral = |data_type: &DataType| match data_type {
        DataType::Int8 => Some(3),
        DataType::Int16 => Some(5),
        DataType::Int32 => Some(10),
        DataType::Int64 => Some(19),
        _ => None,
    };
    match (from, to) {
        (from, to) if from == to || (texts(from) && texts(to)) => true,
        (DataType::Date32, DataType::Timestamp(..)) => false,
        (DataType::Decimal128(digits, scale), DataType::Decimal128(more, larger)) => {
            larger >= scale && i16::from(*more) - i16::from(*larger) >= i16::from(*digits) - i16::from(*scale)
        }
        (from, DataType::Decimal128(digits, scale)) => {
            integral(from).is_some_and(|needed| i16::from(*digits) - i16::from(*scale) >= needed)
        }
        (from, to) => integral(from).zip(integral(to)).is_some_and(|(from, to)| from <= to),
    }
}
