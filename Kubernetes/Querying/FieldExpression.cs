using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>What a <see cref="FieldCondition"/> asks.</summary>
public enum FieldOperator
{
    /// <summary><c>=</c>, <c>==</c>.</summary>
    Equal,

    /// <summary><c>!=</c>.</summary>
    NotEqual,

    /// <summary><c>in (a, b)</c>.</summary>
    In,

    /// <summary><c>notin (a, b)</c>.</summary>
    NotIn,

    /// <summary><c>exists</c>.</summary>
    Exists,

    /// <summary><c>!exists</c>, or <c>!</c> before the path.</summary>
    NotExists,

    /// <summary><c>&gt;</c>.</summary>
    Greater,

    /// <summary><c>&gt;=</c>.</summary>
    GreaterOrEqual,

    /// <summary><c>&lt;</c>.</summary>
    Less,

    /// <summary><c>&lt;=</c>.</summary>
    LessOrEqual,
}

/// <summary>One condition. Immutable.</summary>
/// <param name="Path">Where the values lie.</param>
/// <param name="Operator">What is asked of them.</param>
/// <param name="Values">At least one for <c>in</c> and <c>notin</c>, none for <c>exists</c> and <c>!exists</c>, else one.</param>
public sealed record FieldCondition(FieldPath Path, FieldOperator Operator, ImmutableArray<FieldLiteral> Values)
{
    /// <summary>Whether it holds when no value meets its positive form.</summary>
    internal bool IsNegated => Operator is FieldOperator.NotEqual or FieldOperator.NotIn or FieldOperator.NotExists;

    /// <summary>Whether an absent value counts as the empty text here.</summary>
    internal bool AcceptsAbsent =>
        Operator is FieldOperator.Equal or FieldOperator.NotEqual or FieldOperator.In or FieldOperator.NotIn && Values.Any(v => v.Text.Length == 0);

    /// <summary>Whether an object meets the condition whose only value at the path is this text; null where it has none.</summary>
    /// <remarks>For values that are known without reading the object. Means the same as evaluating the JSON.</remarks>
    public bool Matches(string? value, DateTimeOffset now)
    {
        if (value is null)
        {
            return IsNegated != AcceptsAbsent;
        }

        int length = Encoding.UTF8.GetMaxByteCount(value.Length);
        Span<byte> utf8 = length <= 512 ? stackalloc byte[512] : new byte[length];
        return MeetsText(utf8[..Encoding.UTF8.GetBytes(value, utf8)], now) != IsNegated;
    }

    /// <inheritdoc/>
    public override string ToString() => Operator switch
    {
        FieldOperator.Exists => $"{Path} exists",
        FieldOperator.NotExists => $"{Path} !exists",
        FieldOperator.In => $"{Path} in ({string.Join(", ", Values)})",
        FieldOperator.NotIn => $"{Path} notin ({string.Join(", ", Values)})",
        FieldOperator.Equal => $"{Path} = {Values[0]}",
        FieldOperator.NotEqual => $"{Path} != {Values[0]}",
        FieldOperator.Greater => $"{Path} > {Values[0]}",
        FieldOperator.GreaterOrEqual => $"{Path} >= {Values[0]}",
        FieldOperator.Less => $"{Path} < {Values[0]}",
        _ => $"{Path} <= {Values[0]}",
    };

    /// <inheritdoc/>
    public bool Equals(FieldCondition? other) =>
        other is not null && Operator == other.Operator && Path.Equals(other.Path) && Values.AsSpan().SequenceEqual(other.Values.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Path, Operator, Values.Length);

    /// <summary>Whether a string meets the positive form of the condition.</summary>
    internal bool MeetsText(ReadOnlySpan<byte> value, DateTimeOffset now)
    {
        switch (Operator)
        {
            case FieldOperator.Exists or FieldOperator.NotExists:
                return true;
            case FieldOperator.Equal or FieldOperator.NotEqual or FieldOperator.In or FieldOperator.NotIn:
                foreach (FieldLiteral literal in Values)
                {
                    if (literal.EqualsText(value, now))
                    {
                        return true;
                    }
                }

                return false;
            default:
                return MeetsOrder(Values[0].Compare(value, number: false, now));
        }
    }

    /// <summary>Whether a number, as written in the JSON, meets the positive form of the condition.</summary>
    internal bool MeetsNumber(ReadOnlySpan<byte> value, DateTimeOffset now)
    {
        switch (Operator)
        {
            case FieldOperator.Exists or FieldOperator.NotExists:
                return true;
            case FieldOperator.Equal or FieldOperator.NotEqual or FieldOperator.In or FieldOperator.NotIn:
                foreach (FieldLiteral literal in Values)
                {
                    if (literal.EqualsNumber(value))
                    {
                        return true;
                    }
                }

                return false;
            default:
                return MeetsOrder(Values[0].Compare(value, number: true, now));
        }
    }

    private bool MeetsOrder(int? order) => Operator switch
    {
        FieldOperator.Greater => order > 0,
        FieldOperator.GreaterOrEqual => order >= 0,
        FieldOperator.Less => order < 0,
        _ => order <= 0,
    };
}

/// <summary>What is wrong with the text of a field expression.</summary>
/// <param name="Position">Where, counted from 0.</param>
/// <param name="Message">What is wrong there and what would be right, as one sentence that names the position counted from 1.</param>
public sealed record FieldSyntaxError(int Position, string Message);

/// <summary>Conditions on fields of an object, all of which must hold: <c>spec.replicas &gt; 3, status.phase in (Pending, Failed)</c>.</summary>
/// <remarks>
/// <para>Immutable and thread-safe. Evaluated over UTF-8 JSON in one forward pass that builds nothing and stops once the answer is known.</para>
/// <para>A path may lead to several values (<c>[*]</c>). <c>= in exists &gt; &gt;= &lt; &lt;=</c> hold when one of them does; <c>!= notin !exists</c>
/// are the exact opposites of <c>= in exists</c>, and so hold for objects that lack the field, as in Kubernetes. A field that is absent or
/// null counts as the empty text for <c>=</c> and its kin (<c>spec.nodeName=</c> finds pods without a node) and does not exist.</para>
/// <para>Numbers and quantities are compared by value, times as points in time. For <c>=</c> a string equals a number only as text, unless
/// one of the two has a suffix (<c>500m</c>, <c>1Gi</c>); quotes around the value make it text. A value that cannot be compared with the literal
/// (text with a number) does not meet an order. A literal that has no order is an error of the expression.</para>
/// </remarks>
public sealed class FieldExpression : IEquatable<FieldExpression>
{
    /// <summary>Most conditions of one expression: one bit each while it is evaluated.</summary>
    public const int MaxConditions = 64;

    /// <summary>Longest text of an expression.</summary>
    public const int MaxLength = 8192;

    /// <summary>Holds for every object.</summary>
    public static readonly FieldExpression Everything = new([]);

    private readonly FieldEvaluation? _evaluation;

    /// <summary>An expression of known conditions, at most <see cref="MaxConditions"/>.</summary>
    public FieldExpression(ImmutableArray<FieldCondition> conditions)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(conditions.Length, MaxConditions, nameof(conditions));
        Conditions = conditions;
        _evaluation = conditions.IsEmpty ? null : new FieldEvaluation(conditions);
    }

    /// <summary>The conditions.</summary>
    public ImmutableArray<FieldCondition> Conditions { get; }

    /// <summary>Whether it holds for every object.</summary>
    public bool IsEmpty => Conditions.IsEmpty;

    /// <summary>Reads the text form; null and blank mean <see cref="Everything"/>.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="expression">The expression; null where the text is wrong.</param>
    /// <param name="error">What is wrong; null where nothing is.</param>
    public static bool TryParse(
        string? text,
        [NotNullWhen(true)] out FieldExpression? expression,
        [NotNullWhen(false)] out FieldSyntaxError? error)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            expression = Everything;
            error = null;
            return true;
        }

        return new FieldExpressionParser(text).TryParse(out expression, out error);
    }

    /// <summary>Whether an object meets every condition.</summary>
    /// <param name="json">One JSON object in UTF-8.</param>
    /// <param name="now">Time that <c>now</c> stands for.</param>
    /// <exception cref="System.Text.Json.JsonException">The bytes are no JSON as far as they had to be looked at; what no path leads to is stepped over.</exception>
    public bool Matches(ReadOnlySpan<byte> json, DateTimeOffset now) => _evaluation is null || _evaluation.Matches(json, now);

    /// <inheritdoc/>
    public override string ToString() => string.Join(", ", Conditions);

    /// <inheritdoc/>
    public bool Equals(FieldExpression? other) => other is not null && Conditions.AsSpan().SequenceEqual(other.Conditions.AsSpan());

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FieldExpression);

    /// <inheritdoc/>
    public override int GetHashCode() => Conditions.Length == 0 ? 0 : Conditions[0].GetHashCode();
}
