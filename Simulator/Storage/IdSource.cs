using System.Buffers.Binary;

namespace MultiCluster.Simulator.Storage;

/// <summary>Makes uids and name suffixes that look like a real server's and are the same in every run with the same seed.</summary>
internal sealed class IdSource(int seed)
{
    // The alphabet of generated names: no vowels and nothing that reads like another character.
    public const string Alphabet = "bcdfghjklmnpqrstvwxz2456789";

    private readonly Lock _gate = new();
    private readonly Random _random = new(seed);

    public string Uid()
    {
        Span<byte> bytes = stackalloc byte[16];
        lock (_gate)
        {
            _random.NextBytes(bytes);
        }

        return Format(bytes);
    }

    /// <summary>Five characters as <c>generateName</c> appends them.</summary>
    public string Suffix(int length = 5)
    {
        lock (_gate)
        {
            return string.Create(length, _random, static (span, random) =>
            {
                foreach (ref char c in span)
                {
                    c = Alphabet[random.Next(Alphabet.Length)];
                }
            });
        }
    }

    /// <summary>A uid that belongs to a number, for objects that are made anew whenever they are read.</summary>
    public static string UidOf(ulong high, ulong low)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, Mix(high));
        BinaryPrimitives.WriteUInt64BigEndian(bytes[8..], Mix(low ^ (high << 32)));
        return Format(bytes);
    }

    /// <summary>A name suffix that belongs to a number.</summary>
    public static void WriteSuffix(ulong number, Span<byte> target)
    {
        ulong mixed = Mix(number);
        foreach (ref byte b in target)
        {
            b = (byte)Alphabet[(int)(mixed % (ulong)Alphabet.Length)];
            mixed /= (ulong)Alphabet.Length;
        }
    }

    /// <summary>Spreads a counter over all 64 bits (the finaliser of SplitMix64).</summary>
    public static ulong Mix(ulong value)
    {
        value += 0x9E3779B97F4A7C15;
        value = (value ^ (value >> 30)) * 0xBF58476D1CE4E5B9;
        value = (value ^ (value >> 27)) * 0x94D049BB133111EB;
        return value ^ (value >> 31);
    }

    private static string Format(Span<byte> bytes)
    {
        bytes[6] = (byte)((bytes[6] & 0x0f) | 0x40);
        bytes[8] = (byte)((bytes[8] & 0x3f) | 0x80);
        return new Guid(bytes, bigEndian: true).ToString();
    }
}
