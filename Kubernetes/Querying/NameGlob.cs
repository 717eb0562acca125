using System.Buffers;
using System.Diagnostics.CodeAnalysis;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>A name, or a pattern of names: <c>*</c> stands for any run of characters, <c>?</c> for one.</summary>
/// <remarks>Immutable. Matches the whole name, with regard to case. Time is linear in pattern × name at worst; both are bounded.</remarks>
public sealed class NameGlob
{
    /// <summary>Longest pattern: the longest name that Kubernetes allows.</summary>
    public const int MaxLength = 253;

    private static readonly SearchValues<char> Wild = SearchValues.Create("*?");
    private static readonly SearchValues<char> Foreign = SearchValues.Create("/%[]{}(),\\\"'");

    private NameGlob(string pattern)
    {
        Pattern = pattern;
        int wild = pattern.AsSpan().IndexOfAny(Wild);
        IsLiteral = wild < 0;
        Prefix = wild < 0 ? pattern : pattern[..wild];
    }

    /// <summary>The pattern as written.</summary>
    public string Pattern { get; }

    /// <summary>Whether it is a plain name.</summary>
    public bool IsLiteral { get; }

    /// <summary>What every name that matches begins with; may be empty.</summary>
    public string Prefix { get; }

    /// <summary>Reads a pattern.</summary>
    /// <param name="text">What to read.</param>
    /// <param name="glob">The pattern; null where it is wrong.</param>
    /// <param name="error">What is wrong and what would be right; null where nothing is.</param>
    public static bool TryParse(string? text, [NotNullWhen(true)] out NameGlob? glob, [NotNullWhen(false)] out string? error)
    {
        glob = null;
        if (string.IsNullOrEmpty(text))
        {
            error = "A name must not be empty; '*' stands for all names.";
            return false;
        }

        if (text.Length > MaxLength)
        {
            error = $"A name has at most {MaxLength} characters; this one has {text.Length}.";
            return false;
        }

        foreach (char c in text)
        {
            if (Foreign.Contains(c) || char.IsWhiteSpace(c) || char.IsControl(c))
            {
                error = $"The name '{text}' holds '{c}', which no name has; only '*' (any run of characters) and '?' (one) are special.";
                return false;
            }
        }

        glob = new NameGlob(text);
        error = null;
        return true;
    }

    /// <summary>Whether the name matches.</summary>
    public bool Matches(ReadOnlySpan<char> name)
    {
        if (IsLiteral)
        {
            return name.SequenceEqual(Pattern);
        }

        // On a mismatch only the last star may take one more character: earlier stars need not be tried again.
        ReadOnlySpan<char> pattern = Pattern;
        int p = 0;
        int n = 0;
        int star = -1;
        int resume = 0;
        while (n < name.Length)
        {
            if (p < pattern.Length && pattern[p] == '*')
            {
                star = p++;
                resume = n;
            }
            else if (p < pattern.Length && (pattern[p] == '?' || pattern[p] == name[n]))
            {
                p++;
                n++;
            }
            else if (star >= 0)
            {
                p = star + 1;
                n = ++resume;
            }
            else
            {
                return false;
            }
        }

        return pattern[p..].TrimStart('*').IsEmpty;
    }

    /// <inheritdoc/>
    public override string ToString() => Pattern;
}
