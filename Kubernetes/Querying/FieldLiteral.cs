using System.Buffers;
using System.Globalization;
using System.Text;
using System.Text.Json;

namespace MultiCluster.Kubernetes.Querying;

/// <summary>What a literal can be compared as, beyond its text.</summary>
public enum FieldLiteralKind
{
    /// <summary>Text only.</summary>
    Text,

    /// <summary>A number or quantity.</summary>
    Quantity,

    /// <summary>A point in time, RFC 3339.</summary>
    Time,

    /// <summary>A point in time relative to the moment of evaluation: <c>now</c>, <c>now-1h30m</c>, <c>now+5m</c>.</summary>
    RelativeTime,
}

/// <summary>A value in a field expression. Immutable.</summary>
public sealed class FieldLiteral : IEquatable<FieldLiteral>
{
    private static readonly SearchValues<char> NeedsQuotes = SearchValues.Create(" \t\r\n,()'\"=!<>");

    /// <summary>Takes a text apart.</summary>
    /// <param name="text">The value.</param>
    /// <param name="quoted">Whether it was quoted, which makes it text only for <c>=</c>, <c>!=</c>, <c>in</c> and <c>notin</c>.</param>
    public FieldLiteral(string text, bool quoted = false)
    {
        Text = text;
        IsQuoted = quoted || text.AsSpan().ContainsAny(NeedsQuotes);
        Utf8 = Encoding.UTF8.GetBytes(text);
        if (Querying.Quantity.TryParse(Utf8, out Quantity quantity, out bool hasSuffix))
        {
            Kind = FieldLiteralKind.Quantity;
            Quantity = quantity;
            HasSuffix = hasSuffix;
        }
        else if (TryRelative(text, out TimeSpan offset))
        {
            Kind = FieldLiteralKind.RelativeTime;
            Offset = offset;
        }
        else if (TryTime(Utf8, dateAlone: true, out DateTimeOffset time))
        {
            Kind = FieldLiteralKind.Time;
            Time = time;
        }
    }

    /// <summary>The text.</summary>
    public string Text { get; }

    /// <summary>Whether it is written in quotes.</summary>
    public bool IsQuoted { get; }

    /// <summary>What it can be compared as.</summary>
    public FieldLiteralKind Kind { get; }

    /// <summary>Its value as a quantity.</summary>
    public Quantity Quantity { get; }

    internal byte[] Utf8 { get; }

    internal bool HasSuffix { get; }

    private DateTimeOffset Time { get; }

    private TimeSpan Offset { get; }

    /// <inheritdoc/>
    public bool Equals(FieldLiteral? other) => other is not null && Text == other.Text && IsQuoted == other.IsQuoted;

    /// <inheritdoc/>
    public override bool Equals(object? obj) => Equals(obj as FieldLiteral);

    /// <inheritdoc/>
    public override int GetHashCode() => string.GetHashCode(Text, StringComparison.Ordinal);

    /// <inheritdoc/>
    public override string ToString()
    {
        if (!IsQuoted)
        {
            return Text;
        }

        var text = new StringBuilder();
        Quote(text, Text);
        return text.ToString();
    }

    internal static void Quote(StringBuilder text, string value)
    {
        text.Append('\'');
        foreach (char c in value)
        {
            if (c is '\'' or '\\')
            {
                text.Append('\\');
            }

            text.Append(c);
        }

        text.Append('\'');
    }

    /// <summary>Whether it is the same as a string value.</summary>
    internal bool EqualsText(ReadOnlySpan<byte> value, DateTimeOffset now)
    {
        if (value.SequenceEqual(Utf8))
        {
            return true;
        }

        if (IsQuoted)
        {
            return false;
        }

        return Kind switch
        {
            // "1" and "1.0" are different versions, but "1000m" and "1" are the same amount of CPU: a suffix tells which is meant.
            FieldLiteralKind.Quantity => Quantity.TryParse(value, out Quantity other, out bool suffix) && (suffix || HasSuffix) && other == Quantity,
            FieldLiteralKind.Time or FieldLiteralKind.RelativeTime => TryTime(value, dateAlone: false, out DateTimeOffset time) && time == TimeAt(now),
            _ => false,
        };
    }

    /// <summary>Whether it is the same as a number.</summary>
    internal bool EqualsNumber(ReadOnlySpan<byte> value) =>
        value.SequenceEqual(Utf8) || (!IsQuoted && Kind == FieldLiteralKind.Quantity && Quantity.TryParse(value, out Quantity other) && other == Quantity);

    /// <summary>How a value stands to it (below zero: the value is less); null where the two cannot be compared.</summary>
    internal int? Compare(ReadOnlySpan<byte> value, bool number, DateTimeOffset now)
    {
        switch (Kind)
        {
            case FieldLiteralKind.Quantity:
                return Quantity.TryParse(value, out Quantity other) ? other.CompareTo(Quantity) : null;
            case FieldLiteralKind.Time or FieldLiteralKind.RelativeTime when !number:
                return TryTime(value, dateAlone: false, out DateTimeOffset time) ? time.CompareTo(TimeAt(now)) : null;
            default:
                return null;
        }
    }

    private DateTimeOffset TimeAt(DateTimeOffset now) => Kind == FieldLiteralKind.Time ? Time : now + Offset;

    private static bool TryTime(ReadOnlySpan<byte> text, bool dateAlone, out DateTimeOffset time)
    {
        time = default;
        if (text.Length is < 10 or > 40 || text[4] != (byte)'-')
        {
            return false;
        }

        Span<byte> quoted = stackalloc byte[text.Length + 12];
        quoted[0] = (byte)'"';
        text.CopyTo(quoted[1..]);
        int length = text.Length + 1;
        if (text.Length == 10 && dateAlone)
        {
            "T00:00:00Z"u8.CopyTo(quoted[length..]);
            length += 10;
        }
        else if (text[^1] != (byte)'Z' && !(text.Length > 20 && text[^6] is (byte)'+' or (byte)'-'))
        {
            return false;   // without a zone it would be this machine's
        }

        quoted[length++] = (byte)'"';
        if (quoted[1..(length - 1)].IndexOfAny((byte)'"', (byte)'\\') >= 0)
        {
            return false;
        }

        var reader = new Utf8JsonReader(quoted[..length]);
        try
        {
            return reader.Read() && reader.TryGetDateTimeOffset(out time);
        }
        catch (JsonException)
        {
            return false;   // control characters or broken UTF-8: no time
        }
    }

    private static bool TryRelative(string text, out TimeSpan offset)
    {
        offset = default;
        if (!text.StartsWith("now", StringComparison.Ordinal))
        {
            return false;
        }

        if (text.Length == 3)
        {
            return true;
        }

        if (text[3] is not ('-' or '+') || !TryDuration(text.AsSpan(4), out offset))
        {
            return false;
        }

        if (text[3] == '-')
        {
            offset = -offset;
        }

        return true;
    }

    private static bool TryDuration(ReadOnlySpan<char> text, out TimeSpan duration)
    {
        duration = default;
        if (text.IsEmpty)
        {
            return false;
        }

        while (!text.IsEmpty)
        {
            int digits = 0;
            while (digits < text.Length && char.IsAsciiDigit(text[digits]))
            {
                digits++;
            }

            // Six digits of days are 2,700 years; more could only overflow.
            if (digits is 0 or > 6 || digits == text.Length)
            {
                return false;
            }

            int amount = int.Parse(text[..digits], NumberStyles.None, CultureInfo.InvariantCulture);
            TimeSpan? unit = text[digits] switch
            {
                's' => TimeSpan.FromSeconds(1),
                'm' => TimeSpan.FromMinutes(1),
                'h' => TimeSpan.FromHours(1),
                'd' => TimeSpan.FromDays(1),
                _ => null,
            };
            if (unit is null)
            {
                return false;
            }

            duration += unit.Value * amount;
            text = text[(digits + 1)..];
            if (duration > TimeSpan.FromDays(365_000))
            {
                return false;
            }
        }

        return true;
    }
}
