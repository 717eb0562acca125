using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;

namespace MultiCluster.Kubernetes.Selectors;

/// <summary>What a <see cref="LabelRequirement"/> asks of a label.</summary>
public enum LabelOperator
{
    /// <summary>The label has the one value: <c>a=b</c>, <c>a==b</c>.</summary>
    Equals,

    /// <summary>The label is absent or has another value: <c>a!=b</c>.</summary>
    NotEquals,

    /// <summary>The label has one of the values: <c>a in (b,c)</c>.</summary>
    In,

    /// <summary>The label is absent or has none of the values: <c>a notin (b,c)</c>.</summary>
    NotIn,

    /// <summary>The label is there: <c>a</c>.</summary>
    Exists,

    /// <summary>The label is absent: <c>!a</c>.</summary>
    DoesNotExist,

    /// <summary>The label is an integer above the value: <c>a&gt;1</c>.</summary>
    GreaterThan,

    /// <summary>The label is an integer below the value: <c>a&lt;1</c>.</summary>
    LessThan,
}

/// <summary>One condition of a label selector.</summary>
/// <param name="Key">Label key, valid by the rules of Kubernetes.</param>
/// <param name="Operator">What is asked.</param>
/// <param name="Values">One value for <c>= != &gt; &lt;</c>, at least one for <c>in notin</c>, none otherwise; sorted, without duplicates.</param>
public sealed record LabelRequirement(string Key, LabelOperator Operator, ImmutableArray<string> Values)
{
    /// <summary>Whether a label with this value (null: absent) meets the condition.</summary>
    public bool Matches(string? value) => Operator switch
    {
        LabelOperator.Equals or LabelOperator.In => value is not null && Values.Contains(value, StringComparer.Ordinal),
        LabelOperator.NotEquals or LabelOperator.NotIn => value is null || !Values.Contains(value, StringComparer.Ordinal),
        LabelOperator.Exists => value is not null,
        LabelOperator.DoesNotExist => value is null,
        LabelOperator.GreaterThan => TryCompare(value, out int order) && order > 0,
        LabelOperator.LessThan => TryCompare(value, out int order) && order < 0,
        _ => false,
    };

    /// <inheritdoc/>
    public override string ToString() => Operator switch
    {
        LabelOperator.Equals => $"{Key}={Values[0]}",
        LabelOperator.NotEquals => $"{Key}!={Values[0]}",
        LabelOperator.In => $"{Key} in ({string.Join(',', Values)})",
        LabelOperator.NotIn => $"{Key} notin ({string.Join(',', Values)})",
        LabelOperator.Exists => Key,
        LabelOperator.DoesNotExist => $"!{Key}",
        LabelOperator.GreaterThan => $"{Key}>{Values[0]}",
        _ => $"{Key}<{Values[0]}",
    };

    /// <inheritdoc/>
    public bool Equals(LabelRequirement? other) =>
        other is not null && Key == other.Key && Operator == other.Operator && Values.AsSpan().SequenceEqual(other.Values.AsSpan());

    /// <inheritdoc/>
    public override int GetHashCode() => HashCode.Combine(Key, Operator, Values.Length);

    private bool TryCompare(string? value, out int order)
    {
        order = 0;
        if (!long.TryParse(value, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long actual))
        {
            return false;
        }

        order = actual.CompareTo(long.Parse(Values[0], NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture));
        return true;
    }
}

/// <summary>A label selector in the text form of the Kubernetes API: conditions joined by commas, all of which must hold.</summary>
/// <remarks>Immutable. The empty selector matches everything.</remarks>
public sealed class LabelSelector
{
    /// <summary>Matches everything.</summary>
    public static readonly LabelSelector Everything = new([]);

    /// <summary>A selector of conditions that are already valid, such as those of a <c>matchExpressions</c>.</summary>
    public LabelSelector(ImmutableArray<LabelRequirement> requirements) => Requirements = requirements;

    /// <summary>The conditions in the order of the text.</summary>
    public ImmutableArray<LabelRequirement> Requirements { get; }

    /// <summary>Whether it matches everything.</summary>
    public bool IsEmpty => Requirements.IsEmpty;

    /// <summary>Reads the text form; null and blank mean <see cref="Everything"/>.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="selector">The selector; null when the text is wrong.</param>
    /// <param name="error">One sentence that says what is wrong and where; null when the text is right.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out LabelSelector? selector, [NotNullWhen(false)] out string? error)
    {
        if (string.IsNullOrWhiteSpace(text))
        {
            selector = Everything;
            error = null;
            return true;
        }

        var parser = new LabelSelectorParser(text);
        ImmutableArray<LabelRequirement>? read = parser.Parse(out error);
        selector = read is { } requirements ? new LabelSelector(requirements) : null;
        return selector is not null;
    }

    /// <summary>Reads the text form.</summary>
    /// <exception cref="FormatException">The text is wrong; the message says what and where.</exception>
    public static LabelSelector Parse(string? text) =>
        TryParse(text, out LabelSelector? selector, out string? error) ? selector : throw new FormatException(error);

    /// <summary>Whether an object with these labels is selected.</summary>
    public bool Matches(IReadOnlyDictionary<string, string> labels)
    {
        foreach (LabelRequirement requirement in Requirements)
        {
            if (!requirement.Matches(labels.TryGetValue(requirement.Key, out string? value) ? value : null))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>Whether an object is selected whose labels are looked up one by one, for stores that hold no dictionary.</summary>
    /// <param name="state">Handed to <paramref name="valueOf"/>, so that it needs no closure.</param>
    /// <param name="valueOf">Gives the value of a label, or null when the object lacks it.</param>
    public bool Matches<TState>(TState state, Func<TState, string, string?> valueOf)
        where TState : allows ref struct
    {
        foreach (LabelRequirement requirement in Requirements)
        {
            if (!requirement.Matches(valueOf(state, requirement.Key)))
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The text form, as a query parameter takes it (not escaped).</summary>
    public override string ToString() => string.Join(',', Requirements);
}
