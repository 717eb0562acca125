using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;

namespace MultiCluster.Kubernetes.Selectors;

/// <summary>One condition of a field selector.</summary>
/// <param name="Field">Path such as <c>status.phase</c>; which paths exist is known to the server of the kind only.</param>
/// <param name="Negated">Whether the field must differ from the value.</param>
/// <param name="Value">Value, without escapes; may be empty.</param>
public sealed record FieldTerm(string Field, bool Negated, string Value)
{
    /// <inheritdoc/>
    public override string ToString() => $"{Field}{(Negated ? "!=" : "=")}{Escape(Value)}";

    private static string Escape(string value) => value
        .Replace("\\", "\\\\", StringComparison.Ordinal)
        .Replace(",", "\\,", StringComparison.Ordinal)
        .Replace("=", "\\=", StringComparison.Ordinal);
}

/// <summary>A field selector in the text form of the Kubernetes API: <c>a.b=c,d!=e</c>, with <c>\</c> before a literal comma, equals sign or backslash.</summary>
/// <remarks>Immutable. The empty selector matches everything.</remarks>
public sealed class FieldSelector
{
    /// <summary>Matches everything.</summary>
    public static readonly FieldSelector Everything = new([]);

    /// <summary>A selector of known conditions.</summary>
    public FieldSelector(ImmutableArray<FieldTerm> terms) => Terms = terms;

    /// <summary>The conditions, all of which must hold.</summary>
    public ImmutableArray<FieldTerm> Terms { get; }

    /// <summary>Whether it matches everything.</summary>
    public bool IsEmpty => Terms.IsEmpty;

    /// <summary>Reads the text form; null and blank mean <see cref="Everything"/>.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="selector">The selector; null when the text is wrong.</param>
    /// <param name="error">One sentence that says what is wrong; null when the text is right.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out FieldSelector? selector, [NotNullWhen(false)] out string? error)
    {
        selector = null;
        error = null;
        if (string.IsNullOrWhiteSpace(text))
        {
            selector = Everything;
            return true;
        }

        ImmutableArray<FieldTerm>.Builder terms = ImmutableArray.CreateBuilder<FieldTerm>();
        foreach (string part in SplitTerms(text))
        {
            if (part.Length == 0)
            {
                continue;   // the API server lets stray commas pass
            }

            int at = part.IndexOf('=', StringComparison.Ordinal);
            if (at <= 0)
            {
                error = $"The field selector '{text}' has '{part}' where field=value, field==value or field!=value was expected.";
                return false;
            }

            bool negated = part[at - 1] == '!';
            string field = part[..(negated ? at - 1 : at)].Trim();
            int valueAt = !negated && at + 1 < part.Length && part[at + 1] == '=' ? at + 2 : at + 1;
            if (field.Length == 0)
            {
                error = $"The field selector '{text}' lacks a field before '{part[(negated ? at - 1 : at)..]}'.";
                return false;
            }

            if (Unescape(part[valueAt..]) is not { } value)
            {
                error = $"The field selector '{text}' has a '\\' or '=' in the value of '{field}' that needs a '\\' before it.";
                return false;
            }

            terms.Add(new FieldTerm(field, negated, value));
        }

        selector = new FieldSelector(terms.ToImmutable());
        return true;
    }

    /// <summary>Reads the text form.</summary>
    /// <exception cref="FormatException">The text is wrong; the message says what.</exception>
    public static FieldSelector Parse(string? text) =>
        TryParse(text, out FieldSelector? selector, out string? error) ? selector : throw new FormatException(error);

    /// <summary>Whether an object is selected whose fields are looked up one by one.</summary>
    /// <param name="valueOf">Gives the value of a field as text; empty when it has none.</param>
    public bool Matches(Func<string, string> valueOf)
    {
        foreach (FieldTerm term in Terms)
        {
            if ((valueOf(term.Field) == term.Value) == term.Negated)
            {
                return false;
            }
        }

        return true;
    }

    /// <summary>The text form, as a query parameter takes it (not escaped for a URL).</summary>
    public override string ToString() => string.Join(',', Terms);

    private static IEnumerable<string> SplitTerms(string text)
    {
        int start = 0;
        for (int i = 0; i < text.Length; i++)
        {
            if (text[i] == '\\')
            {
                i++;
            }
            else if (text[i] == ',')
            {
                yield return text[start..i];
                start = i + 1;
            }
        }

        yield return text[start..];
    }

    private static string? Unescape(string value)
    {
        if (!value.AsSpan().ContainsAny('\\', '='))
        {
            return value;
        }

        var plain = new StringBuilder(value.Length);
        for (int i = 0; i < value.Length; i++)
        {
            char c = value[i];
            if (c == '=')
            {
                return null;
            }

            if (c == '\\')
            {
                if (++i == value.Length || value[i] is not ('\\' or ',' or '='))
                {
                    return null;
                }

                c = value[i];
            }

            _ = plain.Append(c);
        }

        return plain.ToString();
    }
}
